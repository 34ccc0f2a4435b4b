namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>The words by which folders and tables name splits.</summary>
internal static class SplitNames
{
    /// <summary>What a message lists.</summary>
    public const string Known = "train, training; val, valid, validation, dev; test, testing";

    /// <returns>Null where the word names no split.</returns>
    public static PictureSplit? Parse(string word) => word.Trim().ToLowerInvariant() switch
    {
        "train" or "training" => PictureSplit.Train,
        "val" or "valid" or "validation" or "dev" => PictureSplit.Validation,
        "test" or "testing" => PictureSplit.Test,
        _ => null,
    };
}
