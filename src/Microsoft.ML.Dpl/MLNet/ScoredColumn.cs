using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Turns what rows were prepared to into numbers. Thread-safe.</summary>
internal interface IBatchScorer<TPrepared>
{
    /// <summary>Most rows one forward pass takes.</summary>
    int BatchSize { get; }

    /// <summary>One row of numbers for each that was prepared.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    float[][] Score(IReadOnlyList<TPrepared> prepared);
}

/// <summary>A column of which numbers are computed.</summary>
/// <param name="Column">The input's.</param>
/// <param name="BatchSize">Most rows one forward pass takes.</param>
/// <param name="Open">Begins a batch over a row or cursor in which the column is active.</param>
internal sealed record ScoredColumn(DataViewSchema.Column Column, int BatchSize, Func<DataViewRow, IRowBatch> Open);

/// <summary>Rows on their way through a forward pass. Belongs to one row or cursor and its thread.</summary>
internal interface IRowBatch
{
    /// <summary>Rows that were added since the last forward pass.</summary>
    int Count { get; }

    /// <summary>Reads and prepares the row's present position.</summary>
    /// <exception cref="UnreadableImageException">Its image is missing or cannot be decoded.</exception>
    /// <exception cref="TextTooLongException">Its text is longer than CLIP reads, and is to be refused.</exception>
    void Add();

    /// <summary>A forward pass over the rows that were added, which begins the next batch.</summary>
    float[][] Score();
}

/// <summary>The rows of one kind of column.</summary>
/// <param name="prepare">Reads and prepares the row's present position.</param>
/// <param name="scorer">What is computed.</param>
internal sealed class RowBatch<TPrepared>(Func<TPrepared> prepare, IBatchScorer<TPrepared> scorer) : IRowBatch
{
    private List<TPrepared> _prepared = [];

    public int Count => _prepared.Count;

    public void Add() => _prepared.Add(prepare());

    public float[][] Score()
    {
        List<TPrepared> prepared = _prepared;
        _prepared = [];
        return scorer.Score(prepared);
    }
}

/// <summary>The columns that scoring adds.</summary>
internal interface IAddedColumns
{
    /// <summary>The input with the added columns at its end; columns of the same name become hidden.</summary>
    DataViewSchema AppendTo(DataViewSchema input);

    /// <param name="column">One of the added columns.</param>
    /// <param name="numbers">What was computed of the present row.</param>
    /// <exception cref="InvalidOperationException">The column does not hold <typeparamref name="T"/>.</exception>
    ValueGetter<T> CreateGetter<T>(DataViewSchema.Column column, Func<float[]> numbers);
}

/// <summary>What computes numbers of images: a classifier their probabilities, one row of [classes] per image. Thread-safe.</summary>
internal interface IImageScorer : IBatchScorer<byte[]>
{
    /// <summary>Resizes and crops one image. Returns [3, size, size] bytes, channel first.</summary>
    byte[] Prepare(RgbImage image);
}
