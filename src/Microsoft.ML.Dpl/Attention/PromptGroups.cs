using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// The non-zero candidates of a layer, packed into one matrix [rows, width] in which candidate c owns <c>Lengths[c]</c> consecutive rows.
/// The attention works on padded slots [candidates, longest], so that sums over a candidate are sums over the last dimension.
/// </summary>
internal sealed class PromptGroups : IDisposable
{
    private readonly Tensor? _rowOfSlot; // [candidates · longest]; null when no padding is needed
    private readonly Tensor? _slotOfRow; // [rows]
    private readonly Tensor? _mask; // [candidates · longest], −∞ in padding

    /// <param name="lengths">Number of prompt rows of each candidate, all at least 1.</param>
    /// <param name="device">Device of the index tensors.</param>
    public PromptGroups(IReadOnlyList<int> lengths, Device device)
    {
        if (lengths.Count == 0 || lengths.Any(n => n < 1))
            throw new ArgumentException("Every candidate needs at least one prompt row.", nameof(lengths));
        Lengths = [.. lengths];
        Longest = lengths.Max();
        if (lengths.All(n => n == Longest))
            return;

        var rowOfSlot = new long[Count * Longest];
        var mask = new float[Count * Longest];
        var slotOfRow = new long[Rows];
        int row = 0;
        for (int candidate = 0; candidate < Count; candidate++)
        {
            for (int k = 0; k < Longest; k++)
            {
                int slot = candidate * Longest + k;
                if (k >= Lengths[candidate])
                {
                    mask[slot] = float.NegativeInfinity;
                    continue;
                }
                rowOfSlot[slot] = row;
                slotOfRow[row++] = slot;
            }
        }
        _rowOfSlot = tensor(rowOfSlot, device: device).DetachFromDisposeScope();
        _slotOfRow = tensor(slotOfRow, device: device).DetachFromDisposeScope();
        _mask = NativeTensor.From(mask, device: device).DetachFromDisposeScope();
    }

    public IReadOnlyList<int> Lengths { get; }

    public int Count => Lengths.Count;

    /// <summary>Number of rows of all candidates together.</summary>
    public int Rows => Lengths.Sum();

    public int Longest { get; }

    /// <summary>[rows, n] to [candidates · longest, n].</summary>
    public Tensor Spread(Tensor rows) => _rowOfSlot is null ? rows : rows.index_select(0, _rowOfSlot);

    /// <summary>[candidates · longest, n] to [rows, n].</summary>
    public Tensor Gather(Tensor slots) => _slotOfRow is null ? slots : slots.index_select(0, _slotOfRow);

    /// <summary>Sets the scores [.., candidates · longest] of padding slots to −∞, in place.</summary>
    public Tensor MaskPadding(Tensor scores) => _mask is null ? scores : scores.PlusInPlace(_mask);

    public void Dispose()
    {
        _rowOfSlot?.Dispose();
        _slotOfRow?.Dispose();
        _mask?.Dispose();
    }
}
