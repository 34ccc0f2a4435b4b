using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>
/// The texts of all classes, only their live part: attention is causal and only the end-of-text row is read, so everything behind it is dropped,
/// and the beginning that all texts share is one sequence instead of one per class. Rows are packed: the beginning, then each class's ending.
/// </summary>
internal sealed class ClassTexts : IDisposable
{
    private readonly TextWeights _weights;
    private readonly Tensor _tokens;       // [rows]
    private readonly Tensor _positions;    // [rows]
    private readonly Tensor? _frozenRows;  // [rows, width]

    /// <param name="texts">Token ids of each class; what lies behind the end-of-text id is ignored.</param>
    /// <param name="weights">The text branch they are for.</param>
    /// <exception cref="ArgumentException">A text is longer than the context length, has no end, or holds an unknown id.</exception>
    public ClassTexts(IReadOnlyList<int[]> texts, TextWeights weights)
    {
        if (texts.Count == 0) throw new ArgumentException("At least one class text is needed.", nameof(texts));
        ClipConfig config = weights.Config;
        int[][] live = [.. texts.Select((ids, i) => Live(ids, i, config))];
        int shared = SharedBeginning(live);
        int endings = Math.Max(live.Max(ids => ids.Length) - shared, shared), sequences = live.Length + 1;
        Count = live.Length;
        SharedLength = shared;

        var rowOfSlot = new long[sequences * endings];
        var slotOfRow = new List<long>();
        var tokens = new List<long>();
        var positions = new List<long>();
        var endRows = new long[Count];
        void AddRow(int sequence, int slot, int token, int position)
        {
            rowOfSlot[sequence * endings + slot] = tokens.Count;
            slotOfRow.Add(sequence * endings + slot);
            tokens.Add(token);
            positions.Add(position);
        }
        for (int j = 0; j < shared; j++) AddRow(0, j, live[0][j], j);
        for (int c = 0; c < Count; c++)
        {
            for (int j = shared; j < live[c].Length; j++) AddRow(c + 1, j - shared, live[c][j], j);
            endRows[c] = tokens.Count - 1;
        }

        // Sequence 0 is the shared beginning: it sees itself only. The others see all of it, then themselves, causally.
        int keys = shared + endings;
        var body = Masked(sequences * endings * keys);
        var last = Masked(sequences * keys);
        for (int s = 0; s < sequences; s++)
        {
            int before = s == 0 ? 0 : shared, end = s == 0 ? 0 : live[s - 1].Length - shared - 1;
            for (int query = 0; query < endings; query++)
            {
                Span<float> row = body.AsSpan((s * endings + query) * keys, keys);
                row[..before].Clear();
                row.Slice(shared, query + 1).Clear();
            }
            Span<float> read = last.AsSpan(s * keys, keys);
            read[..before].Clear();
            read.Slice(shared, end + 1).Clear();
        }

        Device device = weights.Device;
        _weights = weights;
        _tokens = tensor(tokens.ToArray(), device: device).DetachFromDisposeScope();
        _positions = tensor(positions.ToArray(), device: device).DetachFromDisposeScope();
        if (!weights.TokenEmbedding.requires_grad && !weights.PositionEmbedding.requires_grad) _frozenRows = Embed().DetachFromDisposeScope();
        EndRows = tensor(endRows, device: device).DetachFromDisposeScope();
        Body = new AttentionLayout(config.Text.Heads, sequences, endings, endings)
        {
            SharedKeys = shared,
            Mask = tensor(body, [sequences, endings, keys], device: device).DetachFromDisposeScope(),
            KeyPacking = new RowPacking(rowOfSlot, [.. slotOfRow], device),
        };
        Last = new AttentionLayout(config.Text.Heads, sequences, 1, endings)
        {
            SharedKeys = shared,
            Mask = tensor(last, [sequences, 1, keys], device: device).DetachFromDisposeScope(),
            KeyPacking = new RowPacking(rowOfSlot, [.. slotOfRow], device),
            // The shared beginning asks nothing in the last block; its slot repeats class 0's query and is not gathered.
            QueryPacking = new RowPacking([0, .. Enumerable.Range(0, Count)], [.. Enumerable.Range(1, Count)], device),
        };
    }

    /// <summary>Classes.</summary>
    public int Count { get; }

    /// <summary>Tokens that all texts begin with, computed once.</summary>
    public int SharedLength { get; }

    /// <summary>[rows, width] token plus position embeddings, packed; computed once where the embeddings are frozen, else anew in the caller's dispose scope.</summary>
    public Tensor Rows => _frozenRows ?? Embed();

    /// <summary>[classes] the packed row of each class's end-of-text token.</summary>
    public Tensor EndRows { get; }

    public AttentionLayout Body { get; }

    public AttentionLayout Last { get; }

    public void Dispose()
    {
        _frozenRows?.Dispose();
        _tokens.Dispose();
        _positions.Dispose();
        EndRows.Dispose();
        Body.Dispose();
        Last.Dispose();
    }

    private Tensor Embed()
    {
        using var scope = NewDisposeScope();
        return (_weights.TokenEmbedding.index_select(0, _tokens) + _weights.PositionEmbedding.index_select(0, _positions)).MoveToOuterDisposeScope();
    }

    private static int[] Live(int[] ids, int index, ClipConfig config)
    {
        if (ids.Length == 0) throw new ArgumentException($"Class text {index} is empty.");
        int end = config.EndOfTextId is int id ? Array.IndexOf(ids, id) : Array.IndexOf(ids, ids.Max());
        if (end < 0) throw new ArgumentException($"Class text {index} has no end-of-text token ({config.EndOfTextId}): the vocabulary does not belong to this CLIP.");
        if (end >= config.ContextLength) throw new ArgumentException($"Class text {index} has {end + 1} tokens, more than the context length {config.ContextLength}.");
        int[] live = ids[..(end + 1)];
        if (live.Any(t => t < 0 || t >= config.VocabularySize)) throw new ArgumentException($"Class text {index} holds a token id outside 0…{config.VocabularySize - 1}: the vocabulary does not belong to this CLIP.");
        return live;
    }

    /// <summary>Leading tokens equal in all texts; every text keeps at least its end for itself.</summary>
    private static int SharedBeginning(int[][] texts)
    {
        int longest = texts.Min(ids => ids.Length) - 1, shared = 0;
        while (shared < longest && texts.All(ids => ids[shared] == texts[0][shared])) shared++;
        return shared;
    }

    private static float[] Masked(int length)
    {
        var mask = new float[length];
        Array.Fill(mask, float.NegativeInfinity);
        return mask;
    }
}
