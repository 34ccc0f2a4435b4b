using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>The words that folders and tables use for splits.</summary>
internal static partial class SplitNames
{
    /// <summary>The common words for splits, for messages.</summary>
    public const string Known = "train, training; val, valid, validation, dev; test, testing";

    // Additional words to ignore, as in training_set, test-images or seg_train.
    private static readonly HashSet<string> Beside = ["set", "sets", "split", "data", "dataset", "image", "images", "img", "imgs", "seg"];

    /// <returns>Null if the word does not name a split.</returns>
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

    // Digits are not part of a word, so train2017 is read as train.
    [GeneratedRegex(@"\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})")]
    private static partial Regex Parts();
}
