using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Computes numbers from prepared rows. Thread-safe.</summary>
internal interface IBatchScorer<TPrepared>
{
    /// <summary>Maximum number of rows per forward pass.</summary>
    int BatchSize { get; }

    /// <summary>Returns one array of numbers per prepared row.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    float[][] Score(IReadOnlyList<TPrepared> prepared);
}

/// <summary>An input column that numbers are computed from.</summary>
/// <param name="Column">The column of the input.</param>
/// <param name="BatchSize">Maximum number of rows per forward pass.</param>
/// <param name="Open">Starts a batch over a row or cursor in which the column is active.</param>
internal sealed record ScoredColumn(DataViewSchema.Column Column, int BatchSize, Func<DataViewRow, IRowBatch> Open);

/// <summary>Collects rows for a forward pass. Not thread-safe: belongs to one row or cursor.</summary>
internal interface IRowBatch
{
    /// <summary>Number of rows added since the last forward pass.</summary>
    int Count { get; }

    /// <summary>Reads and prepares the row at the current position.</summary>
    /// <exception cref="UnreadableImageException">The row's image is missing or cannot be decoded.</exception>
    /// <exception cref="TextTooLongException">The row's text is longer than CLIP can read, and such texts are to be rejected.</exception>
    void Add();

    /// <summary>Runs a forward pass over the added rows and starts the next batch.</summary>
    float[][] Score();
}

/// <summary>A batch of rows from one kind of column.</summary>
/// <param name="prepare">Reads and prepares the row at the current position.</param>
/// <param name="scorer">Computes the numbers.</param>
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
    /// <summary>The input schema with the added columns at the end; existing columns of the same name become hidden.</summary>
    DataViewSchema AppendTo(DataViewSchema input);

    /// <param name="column">One of the added columns.</param>
    /// <param name="numbers">The numbers computed for the current row.</param>
    /// <exception cref="InvalidOperationException">The column does not hold <typeparamref name="T"/>.</exception>
    ValueGetter<T> CreateGetter<T>(DataViewSchema.Column column, Func<float[]> numbers);
}

/// <summary>What computes numbers of images: a classifier their probabilities, one row of [classes] per image. Thread-safe.</summary>
internal interface IImageScorer : IBatchScorer<byte[]>
{
    /// <summary>Resizes and crops one image. Returns [3, size, size] bytes, channel first.</summary>
    byte[] Prepare(RgbImage image);
}
