using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Which rows a batch of an epoch holds: the rows as they are, or shuffled anew for every epoch; the last batch may be smaller.
/// Thread-safe.</summary>
internal sealed class EpochOrder
{
    private readonly int[] _rows;
    private readonly int _batchSize;
    private readonly Func<int, Random>? _random;
    private volatile Shuffled? _latest;

    private EpochOrder(IReadOnlyList<int> rows, int batchSize, Func<int, Random>? random)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        (_rows, _batchSize, _random) = ([.. rows], batchSize, random);
    }

    private sealed record Shuffled(int Epoch, int[] Rows);

    /// <summary>The same order in every epoch.</summary>
    public static EpochOrder Fixed(IReadOnlyList<int> rows, int batchSize) => new(rows, batchSize, null);

    /// <summary>An order for each epoch that only <paramref name="seed"/>, <paramref name="purpose"/> and the epoch decide.</summary>
    public static EpochOrder Shuffle(IReadOnlyList<int> rows, int batchSize, int seed, string purpose) =>
        new(rows, batchSize, epoch => Seeds.Random(seed, purpose, epoch));

    // Not by adding the batch size, which may be as large as a number can be.
    public int BatchesPerEpoch => _rows.Length == 0 ? 0 : (_rows.Length - 1) / _batchSize + 1;

    /// <summary>The rows of batch <paramref name="index"/> of <paramref name="epoch"/>, both from 0.</summary>
    public ReadOnlySpan<int> Batch(int epoch, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(epoch);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, BatchesPerEpoch);
        int start = index * _batchSize;
        return Rows(epoch).AsSpan(start, Math.Min(_batchSize, _rows.Length - start));
    }

    private int[] Rows(int epoch)
    {
        if (_random is null)
            return _rows;
        if (_latest is { } latest && latest.Epoch == epoch)
            return latest.Rows;
        int[] rows = [.. _rows];
        _random(epoch).Shuffle(rows);
        _latest = new Shuffled(epoch, rows);
        return rows;
    }
}
