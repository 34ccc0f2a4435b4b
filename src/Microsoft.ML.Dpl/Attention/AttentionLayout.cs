using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// How the rows of a token matrix [rows, width] form sequences of queries and keys.
/// Rows may be packed (sequences of different lengths without padding); only the attention itself spreads them over padded slots.
/// </summary>
internal sealed class AttentionLayout : IDisposable
{
    /// <param name="heads">Number of attention heads.</param>
    /// <param name="sequences">Number of sequences; each attends within itself.</param>
    /// <param name="queries">Query slots per sequence.</param>
    /// <param name="keys">Key slots per sequence.</param>
    public AttentionLayout(int heads, long sequences, long queries, long keys) =>
        (Heads, Sequences, Queries, Keys) = (heads, sequences, queries, keys);

    public int Heads { get; }

    public long Sequences { get; }

    public long Queries { get; }

    public long Keys { get; }

    /// <summary>
    /// Number of leading keys of sequence 0 that every sequence attends to before its own (the prefix shared by all class texts).
    /// </summary>
    public long SharedKeys { get; init; }

    /// <summary>[sequences, queries, shared + keys] added to the scores: 0 or −∞. Null: every query attends to every key.</summary>
    public Tensor? Mask { get; init; }

    /// <summary>Slots of the keys and values (and, without <see cref="QueryPacking"/>, of the queries). Null: rows are slots.</summary>
    public RowPacking? KeyPacking { get; init; }

    /// <summary>Slots of separately projected queries. Null: rows are slots.</summary>
    public RowPacking? QueryPacking { get; init; }

    /// <summary>The same layout as a list of keys for each query, used by <see cref="PathKernel"/> for float32 on a CPU; null: not
    /// used.</summary>
    public RowPaths? Paths { get; init; }

    /// <summary>Whether <see cref="HeadKernel"/> computes float32 attention head by head on a single CPU thread; only without mask, shared
    /// keys and packing.</summary>
    public bool ByHead { get; init; }

    /// <summary>Whether one of the two kernels is used; otherwise libtorch's operations do everything.</summary>
    public bool HasKernel => ByHead || Paths is not null;

    public void Dispose()
    {
        Mask?.Dispose();
        KeyPacking?.Dispose();
        QueryPacking?.Dispose();
    }
}

/// <summary>Maps between the rows of a packed matrix and padded slots. A row may occupy several slots.</summary>
internal sealed class RowPacking : IDisposable
{
    private readonly Tensor _rowOfSlot; // [slots], any row where a slot is padding
    private readonly Tensor _slotOfRow; // [rows]
    private readonly Tensor? _repeatedSlots; // [repeats] further slots of rows that already have one; null: none
    private readonly Tensor? _repeatedRows; // [repeats] the rows of those slots
    private readonly long _slots;

    /// <param name="rowOfSlot">The row in each slot.</param>
    /// <param name="slotOfRow">One slot of each row.</param>
    /// <param name="repeatedSlots">All further slots that are not padding.</param>
    /// <param name="device">Device of the index tensors.</param>
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

    /// <summary>[rows, n] to [slots, n]; padding slots hold arbitrary rows and must be masked.</summary>
    public Tensor Spread(Tensor rows) => rows.index_select(0, _rowOfSlot);

    /// <summary>[slots, n] to [rows, n]: each row from one of its slots, for values that are equal in all of them.</summary>
    public Tensor Gather(Tensor slots) => slots.index_select(0, _slotOfRow);

    /// <summary>[slots, n] to [rows, n], summed over all slots of a row: the gradient of <see cref="Spread"/>, ignoring padding.</summary>
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
/// The key rows that each query attends to where texts with a common prefix share rows: those from the first token of its text to itself,
/// a few dozen at most. Equivalent to the sequences, shared keys, packing and mask of an <see cref="AttentionLayout"/>, but without
/// padding and with every row stored once.
/// </summary>
internal sealed class RowPaths
{
    /// <param name="before">The preceding row in the text of each row; −1: none.</param>
    /// <param name="queries">The row of each query; null: every row is a query.</param>
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

    /// <summary>[queries + 1] where the keys of each query begin in <see cref="Keys"/>.</summary>
    public int[] Starts { get; }

    /// <summary>Rows from the first token of a text to that of the query, one query after the other.</summary>
    public int[] Keys { get; }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Number of queries.</summary>
    public int Count => Starts.Length - 1;

    /// <summary>Largest number of keys of a query.</summary>
    public int Longest { get; }
}
