using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>
/// How the rows of a token matrix [rows, width] form sequences of queries and keys.
/// Rows may be packed (sequences of different lengths without padding); they are spread over padded slots for the attention alone.
/// </summary>
internal sealed class AttentionLayout : IDisposable
{
    /// <param name="heads">Attention heads.</param>
    /// <param name="sequences">Sequences that attend within themselves.</param>
    /// <param name="queries">Query slots of a sequence.</param>
    /// <param name="keys">Key slots of a sequence.</param>
    public AttentionLayout(int heads, long sequences, long queries, long keys)
        => (Heads, Sequences, Queries, Keys) = (heads, sequences, queries, keys);

    public int Heads { get; }

    public long Sequences { get; }

    public long Queries { get; }

    public long Keys { get; }

    /// <summary>Leading keys of sequence 0 that every sequence attends to before its own (the beginning all class texts share).</summary>
    public long SharedKeys { get; init; }

    /// <summary>[sequences, queries, shared + keys] added to the scores: 0 or −∞. Null: every query sees every key.</summary>
    public Tensor? Mask { get; init; }

    /// <summary>Where the keys and values (and, without <see cref="QueryPacking"/>, the queries) stand. Null: rows are slots.</summary>
    public RowPacking? KeyPacking { get; init; }

    /// <summary>Where separately projected queries stand. Null: rows are slots.</summary>
    public RowPacking? QueryPacking { get; init; }

    public void Dispose()
    {
        Mask?.Dispose();
        KeyPacking?.Dispose();
        QueryPacking?.Dispose();
    }
}

/// <summary>A packed matrix's place in padded slots, both ways.</summary>
internal sealed class RowPacking : IDisposable
{
    private readonly Tensor _rowOfSlot; // [slots], any row where a slot is padding
    private readonly Tensor _slotOfRow; // [rows]
    private readonly long _slots;

    public RowPacking(long[] rowOfSlot, long[] slotOfRow, Device device)
    {
        _slots = rowOfSlot.LongLength;
        _rowOfSlot = tensor(rowOfSlot, device: device).DetachFromDisposeScope();
        _slotOfRow = tensor(slotOfRow, device: device).DetachFromDisposeScope();
    }

    /// <summary>[rows, n] to [slots, n]; padding slots repeat some row and must be masked.</summary>
    public Tensor Spread(Tensor rows) => rows.index_select(0, _rowOfSlot);

    /// <summary>[slots, n] to [rows, n].</summary>
    public Tensor Gather(Tensor slots) => slots.index_select(0, _slotOfRow);

    /// <summary>[rows, n] to [slots, n] with zeros in padding: the gradient of <see cref="Gather"/>.</summary>
    public Tensor SpreadWithZeros(Tensor rows)
        => rows.new_zeros(_slots, rows.shape[1]).index_copy_(0, _slotOfRow, rows);

    public void Dispose()
    {
        _rowOfSlot.Dispose();
        _slotOfRow.Dispose();
    }
}
