namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>A picture and its class, as the trainer reads it.</summary>
internal sealed class PictureRow
{
    /// <summary>Full path of the file.</summary>
    public string ImagePath { get; set; } = "";

    /// <summary>The class as CLIP reads it.</summary>
    public string Label { get; set; } = "";

    /// <summary>How much the row's loss counts.</summary>
    public float Weight { get; set; } = 1;
}

/// <summary>The sets that pictures are divided into.</summary>
internal enum PictureSplit
{
    Train,
    Validation,
    Test,
}

/// <summary>Labelled pictures by split.</summary>
/// <param name="Source">The folder or file they were named by.</param>
/// <param name="Train">Those without a split, too.</param>
/// <param name="Validation">Empty where the data names none.</param>
/// <param name="Test">Empty where the data names none.</param>
internal sealed record PictureSets(string Source, IReadOnlyList<PictureRow> Train, IReadOnlyList<PictureRow> Validation, IReadOnlyList<PictureRow> Test)
{
    /// <summary>Whether the rows come from a split file of CoOp, in its order.</summary>
    public bool IsCoOpSplit { get; init; }

    /// <summary>Where the validation pictures come from; null: from <see cref="Source"/>.</summary>
    public string? ValidationSource { get; init; }

    /// <summary>Where the test pictures come from; null: from <see cref="Source"/>.</summary>
    public string? TestSource { get; init; }

    /// <summary>The classes of all splits, ordered by code point.</summary>
    public IReadOnlyList<string> Classes => [.. All.Select(row => row.Label).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>All splits, one after another.</summary>
    public IEnumerable<PictureRow> All => Train.Concat(Validation).Concat(Test);

    /// <summary>What an evaluation is about: the test pictures where the data names some, else all of them.</summary>
    public IReadOnlyList<PictureRow> ToEvaluate => Test.Count > 0 ? Test : [.. All];

    /// <param name="split">One of the sets.</param>
    public IReadOnlyList<PictureRow> this[PictureSplit split] => split switch { PictureSplit.Train => Train, PictureSplit.Validation => Validation, _ => Test };

    /// <summary>The same with other rows.</summary>
    /// <param name="change">Given a split and its rows.</param>
    public PictureSets With(Func<PictureSplit, IReadOnlyList<PictureRow>, IReadOnlyList<PictureRow>> change)
        => this with { Train = change(PictureSplit.Train, Train), Validation = change(PictureSplit.Validation, Validation), Test = change(PictureSplit.Test, Test) };
}
