using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

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
    public AttentionLayout(int heads, long sequences, long queries, long keys) =>
        (Heads, Sequences, Queries, Keys) = (heads, sequences, queries, keys);

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

    /// <summary>The same as each query's keys, along which <see cref="PathKernel"/> computes float32 on a CPU; null: not so.</summary>
    public RowPaths? Paths { get; init; }

    /// <summary>Whether float32 attention goes head by head on a CPU's single thread by <see cref="HeadKernel"/>: only without mask, shared
    /// keys and packing.</summary>
    public bool ByHead { get; init; }

    /// <summary>Whether one of the two is asked for; otherwise all is done by libtorch's operations.</summary>
    public bool HasKernel => ByHead || Paths is not null;

    public void Dispose()
    {
        Mask?.Dispose();
        KeyPacking?.Dispose();
        QueryPacking?.Dispose();
    }
}

/// <summary>A packed matrix's place in padded slots, both ways. A row may stand in several slots.</summary>
internal sealed class RowPacking : IDisposable
{
    private readonly Tensor _rowOfSlot; // [slots], any row where a slot is padding
    private readonly Tensor _slotOfRow; // [rows]
    private readonly Tensor? _repeatedSlots; // [repeats] further slots of rows that have one already; null: there are none
    private readonly Tensor? _repeatedRows; // [repeats] whose they are
    private readonly long _slots;

    /// <param name="rowOfSlot">The row that stands in each slot.</param>
    /// <param name="slotOfRow">A slot of each row.</param>
    /// <param name="repeatedSlots">All further slots that are no padding.</param>
    /// <param name="device">Where the index tensors live.</param>
    public RowPacking(long[] rowOfSlot, long[] slotOfRow, long[] repeatedSlots, Device device)
    {
        _slots = rowOfSlot.LongLength;
        _rowOfSlot = tensor(rowOfSlot, device: device).DetachFromDisposeScope();
        _slotOfRow = tensor(slotOfRow, device: device).DetachFromDisposeScope();
        if (repeatedSlots.Length == 0)
            return;
        _repeatedSlots = tensor(repeatedSlots, device: device).DetachFromDisposeScope();
        _repeatedRows = tensor(repeatedSlots.Select(slot => rowOfSlot[slot]).ToArray(), device: device).DetachFromDisposeScope();
    }

    /// <summary>[rows, n] to [slots, n]; padding slots repeat some row and must be masked.</summary>
    public Tensor Spread(Tensor rows) => rows.index_select(0, _rowOfSlot);

    /// <summary>[slots, n] to [rows, n]: each row from one slot, for values that are equal in all slots of a row.</summary>
    public Tensor Gather(Tensor slots) => slots.index_select(0, _slotOfRow);

    /// <summary>[slots, n] to [rows, n], added over all slots of a row: the gradient of <see cref="Spread"/>, padding apart.</summary>
    public Tensor Sum(Tensor slots)
    {
        Tensor rows = Gather(slots);
        return _repeatedSlots is null ? rows : rows.index_add_(0, _repeatedRows!, slots.index_select(0, _repeatedSlots), HeldScalar.One);
    }

    /// <summary>[rows, n] to [slots, n] with zeros in padding and in repeated slots: the gradient of <see cref="Gather"/>.</summary>
    public Tensor SpreadWithZeros(Tensor rows) => rows.new_zeros(_slots, rows.shape[1]).index_copy_(0, _slotOfRow, rows);

    public void Dispose()
    {
        _rowOfSlot.Dispose();
        _slotOfRow.Dispose();
        _repeatedSlots?.Dispose();
        _repeatedRows?.Dispose();
    }
}

/// <summary>
/// Which key rows each query attends to, where texts that begin alike share rows: those from the first token to its own, at most a few
/// dozen. The same as an <see cref="AttentionLayout"/>'s sequences, shared keys, packing and mask say, without padding and with every row
/// once.
/// </summary>
internal sealed class RowPaths
{
    /// <param name="before">The row before each row in its text; −1: none.</param>
    /// <param name="queries">The row that each query is; null: every row asks.</param>
    public RowPaths(IReadOnlyList<int> before, IReadOnlyList<int>? queries = null)
    {
        int count = queries?.Count ?? before.Count;
        Rows = before.Count;
        Starts = new int[count + 1];
        var keys = new List<int>();
        for (int query = 0; query < count; query++)
        {
            for (int row = queries?[query] ?? query; row >= 0; row = before[row])
                keys.Add(row);
            keys.Reverse(Starts[query], keys.Count - Starts[query]);
            Starts[query + 1] = keys.Count;
            Longest = Math.Max(Longest, keys.Count - Starts[query]);
        }
        Keys = [.. keys];
    }

    /// <summary>[queries + 1] where each query's keys begin in <see cref="Keys"/>.</summary>
    public int[] Starts { get; }

    /// <summary>Rows, from the first token of a text to the query's own.</summary>
    public int[] Keys { get; }

    /// <summary>Rows that there are.</summary>
    public int Rows { get; }

    /// <summary>Queries.</summary>
    public int Count => Starts.Length - 1;

    /// <summary>Most keys of a query.</summary>
    public int Longest { get; }
}
