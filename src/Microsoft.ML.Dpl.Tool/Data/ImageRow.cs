namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>An image and its class, as the trainer reads it.</summary>
internal sealed class ImageRow
{
    /// <summary>Full path of the file.</summary>
    public string ImagePath { get; set; } = "";

    /// <summary>The class as CLIP reads it.</summary>
    public string Label { get; set; } = "";

    /// <summary>How much the row's loss counts.</summary>
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
/// <param name="Source">The folder or file they were named by.</param>
/// <param name="Train">Those without a split, too.</param>
/// <param name="Validation">Empty where the data names none.</param>
/// <param name="Test">Empty where the data names none.</param>
internal sealed record ImageSets(
    string Source,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    IReadOnlyList<ImageRow> Test
)
{
    /// <summary>Whether the rows come from a split file of CoOp, in its order.</summary>
    public bool IsCoOpSplit { get; init; }

    /// <summary>All classes in the order of the data's own numbers; null where it has none.</summary>
    public IReadOnlyList<string>? ClassOrder { get; init; }

    /// <summary>The classes of all splits in the data's own order, or else by code point.</summary>
    public IReadOnlyList<string> ClassesInOrder => ClassOrder ?? Classes;

    /// <summary>Where the validation images come from; null: from <see cref="Source"/>.</summary>
    public string? ValidationSource { get; init; }

    /// <summary>Where the test images come from; null: from <see cref="Source"/>.</summary>
    public string? TestSource { get; init; }

    /// <summary>The classes of all splits, ordered by code point.</summary>
    public IReadOnlyList<string> Classes =>
        [.. All.Select(row => row.Label).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>All splits, one after another.</summary>
    public IEnumerable<ImageRow> All => Train.Concat(Validation).Concat(Test);

    /// <summary>What an evaluation is about: the test images where the data names some, else all of them.</summary>
    public IReadOnlyList<ImageRow> ToEvaluate => Test.Count > 0 ? Test : [.. All];

    /// <param name="split">One of the sets.</param>
    public IReadOnlyList<ImageRow> this[ImageSplit split] =>
        split switch
        {
            ImageSplit.Train => Train,
            ImageSplit.Validation => Validation,
            _ => Test,
        };

    /// <summary>The same with other rows.</summary>
    /// <param name="change">Given a split and its rows.</param>
    public ImageSets With(Func<ImageSplit, IReadOnlyList<ImageRow>, IReadOnlyList<ImageRow>> change) =>
        this with
        {
            Train = change(ImageSplit.Train, Train),
            Validation = change(ImageSplit.Validation, Validation),
            Test = change(ImageSplit.Test, Test),
        };
}
