namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>The words by which folders and tables name splits.</summary>
internal static class SplitNames
{
    /// <summary>What a message lists.</summary>
    public const string Known = "train, training; val, valid, validation, dev; test, testing";

    /// <returns>Null where the word names no split.</returns>
    public static ImageSplit? Parse(string word) =>
        word.Trim().ToLowerInvariant() switch
        {
            "train" or "training" => ImageSplit.Train,
            "val" or "valid" or "validation" or "dev" => ImageSplit.Validation,
            "test" or "testing" => ImageSplit.Test,
            _ => null,
        };
}
