namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>An image and its class, as the trainer reads it.</summary>
internal sealed class ImageRow
{
    /// <summary>Full path of the file.</summary>
    public string ImagePath { get; set; } = "";

    /// <summary>The class as CLIP reads it.</summary>
    public string Label { get; set; } = "";

    /// <summary>Weight of the row's loss in training.</summary>
    public float Weight { get; set; } = 1;
}

/// <summary>The sets that images are divided into.</summary>
internal enum ImageSplit
{
    Train,
    Validation,
    Test,
}

/// <summary>Labelled images by split.</summary>
/// <param name="Source">The folder or file as the user named it.</param>
/// <param name="Train">Training images, including those without a split.</param>
/// <param name="Validation">Validation images; empty if the data has none.</param>
/// <param name="Test">Test images; empty if the data has none.</param>
internal sealed record ImageSets(
    string Source,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    IReadOnlyList<ImageRow> Test
)
{
    /// <summary>Whether the rows come from a split file of CoOp, in its order.</summary>
    public bool IsCoOpSplit { get; init; }

    /// <summary>All classes in the order of the data's class numbers; null if it has none.</summary>
    public IReadOnlyList<string>? ClassOrder { get; init; }

    /// <summary>The classes of all splits in the data's own order, otherwise in ordinal order.</summary>
    public IReadOnlyList<string> ClassesInOrder => ClassOrder ?? Classes;

    /// <summary>Where the validation images come from; null: from <see cref="Source"/>.</summary>
    public string? ValidationSource { get; init; }

    /// <summary>Where the test images come from; null: from <see cref="Source"/>.</summary>
    public string? TestSource { get; init; }

    /// <summary>The classes of all splits in ordinal order.</summary>
    public IReadOnlyList<string> Classes =>
        [.. All.Select(row => row.Label).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>The rows of all splits, concatenated.</summary>
    public IEnumerable<ImageRow> All => Train.Concat(Validation).Concat(Test);

    /// <summary>The images to evaluate on: the test images if there are any, otherwise all images.</summary>
    public IReadOnlyList<ImageRow> ToEvaluate => Test.Count > 0 ? Test : [.. All];

    /// <param name="split">The split whose rows are returned.</param>
    public IReadOnlyList<ImageRow> this[ImageSplit split] =>
        split switch
        {
            ImageSplit.Train => Train,
            ImageSplit.Validation => Validation,
            _ => Test,
        };

    /// <summary>Returns a copy with other rows.</summary>
    /// <param name="change">Returns the new rows for a split and its current rows.</param>
    public ImageSets With(Func<ImageSplit, IReadOnlyList<ImageRow>, IReadOnlyList<ImageRow>> change) =>
        this with
        {
            Train = change(ImageSplit.Train, Train),
            Validation = change(ImageSplit.Validation, Validation),
            Test = change(ImageSplit.Test, Test),
        };
}
