using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>The words by which folders and tables name splits.</summary>
internal static partial class SplitNames
{
    /// <summary>What a message lists.</summary>
    public const string Known = "train, training; val, valid, validation, dev; test, testing";

    // What is written beside the word itself, as in training_set, test-images or seg_train.
    private static readonly HashSet<string> Beside = ["set", "sets", "split", "data", "dataset", "image", "images", "img", "imgs", "seg"];

    /// <returns>Null where the word names no split.</returns>
    public static ImageSplit? Parse(string word)
    {
        string[] said = [.. Parts().Matches(word).Select(part => part.Value.ToLowerInvariant()).Where(part => !Beside.Contains(part))];
        return said is [var only] ? Named(only) ?? (only.EndsWith("set", StringComparison.Ordinal) ? Named(only[..^3]) : null) : null;
    }

    private static ImageSplit? Named(string word) =>
        word switch
        {
            "train" or "training" or "trn" => ImageSplit.Train,
            "val" or "valid" or "validation" or "validate" or "dev" => ImageSplit.Validation,
            "test" or "testing" or "tst" => ImageSplit.Test,
            _ => null,
        };

    // A number, as in train2017, stands apart.
    [GeneratedRegex(@"\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})")]
    private static partial Regex Parts();
}
