using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// The texts of all classes, reduced to the rows that matter: attention is causal and only the end-of-text row is read, so everything after
/// it is dropped, and the prefix shared by all texts is one sequence instead of one per class. Rows are packed: the prefix, then the suffix
/// of each class. Suffixes that begin alike ("great white shark", "great grey owl") share those rows, since a row depends only on the rows
/// before it.
/// </summary>
internal sealed class ClassTexts : IDisposable
{
    private readonly TextWeights _weights;
    private readonly Tensor _tokens; // [rows]
    private readonly Tensor _positions; // [rows]
    private readonly Tensor? _tokenMask; // [rows, 1] 1 for tokens, 0 for context vectors
    private readonly Tensor? _contextRows; // indices of the packed rows that hold a context vector
    private readonly Tensor? _contextVectors; // index of the vector in each of them
    private readonly bool _frozen;

    // [rows or classes, width] the output of the plain layers, keyed by the list of blocks
    private readonly Dictionary<object, (int Layers, Tensor Rows)> _remembered = new(ReferenceEqualityComparer.Instance);

    /// <param name="texts">Token ids of each class; ids after the end-of-text id are ignored. An id of −1 − j stands for vector j of the
    /// context (<see cref="ContextLayout.Arrange"/>).</param>
    /// <param name="weights">The weights of the text tower that reads them.</param>
    /// <param name="onOneThread">Whether <see cref="KernelAttention"/> computes float32 attention, on the CPU and the calling thread only;
    /// its results differ in the last bits from those of libtorch's operations.</param>
    /// <exception cref="ArgumentException">A text is longer than the context length, has no end, or contains an unknown id.</exception>
    public ClassTexts(IReadOnlyList<int[]> texts, TextWeights weights, bool onOneThread = false)
    {
        if (texts.Count == 0)
            throw new ArgumentException("At least one class text is needed.", nameof(texts));
        ClipConfig config = weights.Config;
        int[][] live = [.. texts.Select((ids, i) => LiveTokens.Read(ids, i, config))];
        int shared = SharedBeginning(live);
        int endings = Math.Max(live.Max(ids => ids.Length) - shared, shared),
            sequences = live.Length + 1;
        Count = live.Length;
        SharedLength = shared;

        var rowOfSlot = new long[sequences * endings];
        var slotOfRow = new List<long>();
        var tokens = new List<long>();
        var positions = new List<long>();
        var rowsBefore = new List<int>();
        var endRows = new long[Count];
        var repeatedSlots = new List<long>();
        var rowAfter = new Dictionary<(int Before, int Token), int>();
        // The row of a token that follows row "before" (−1: none), created if no earlier text has it.
        int Row(int before, int token, int position, int slot)
        {
            if (rowAfter.TryGetValue((before, token), out int row))
            {
                repeatedSlots.Add(slot);
            }
            else
            {
                rowAfter.Add((before, token), row = tokens.Count);
                slotOfRow.Add(slot);
                tokens.Add(token);
                positions.Add(position);
                rowsBefore.Add(before);
            }
            rowOfSlot[slot] = row;
            return row;
        }
        int beginning = -1;
        for (int j = 0; j < shared; j++)
            beginning = Row(beginning, live[0][j], j, j);
        for (int c = 0; c < Count; c++)
        {
            int row = beginning;
            for (int j = shared; j < live[c].Length; j++)
                row = Row(row, live[c][j], j, (c + 1) * endings + j - shared);
            endRows[c] = row;
        }

        // Sequence 0 is the shared prefix, which attends only to itself. The others attend to all of it, then causally to themselves.
        int keys = shared + endings;
        var body = Masked(sequences * endings * keys);
        var last = Masked(sequences * keys);
        for (int s = 0; s < sequences; s++)
        {
            int before = s == 0 ? 0 : shared,
                end = s == 0 ? 0 : live[s - 1].Length - shared - 1;
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

        RowPacking Keys() => new(rowOfSlot, [.. slotOfRow], [.. repeatedSlots], weights.Device);

        Device device = weights.Device;
        _weights = weights;
        long[] contextRows = [.. Enumerable.Range(0, tokens.Count).Where(row => tokens[row] < 0).Select(row => (long)row)];
        if (contextRows.Length > 0)
        {
            _contextRows = tensor(contextRows, device: device).DetachFromDisposeScope();
            _contextVectors = tensor(contextRows.Select(row => -1 - tokens[(int)row]).ToArray(), device: device).DetachFromDisposeScope();
            _tokenMask = NativeTensor
                .From([.. tokens.Select(token => token < 0 ? 0f : 1f)], [tokens.Count, 1], device)
                .DetachFromDisposeScope();
        }
        _tokens = tensor(tokens.Select(token => Math.Max(token, 0)).ToArray(), device: device).DetachFromDisposeScope();
        _positions = tensor(positions.ToArray(), device: device).DetachFromDisposeScope();
        _frozen = contextRows.Length == 0 && weights.Tensors.All(t => !t.requires_grad);
        EndRows = tensor(endRows, device: device).DetachFromDisposeScope();
        Body = new AttentionLayout(config.Text.Heads, sequences, endings, endings)
        {
            SharedKeys = shared,
            Mask = NativeTensor.From(body, [sequences, endings, keys], device).DetachFromDisposeScope(),
            KeyPacking = Keys(),
            Paths = onOneThread ? new RowPaths(rowsBefore) : null,
        };
        Last = new AttentionLayout(config.Text.Heads, sequences, 1, endings)
        {
            SharedKeys = shared,
            Mask = NativeTensor.From(last, [sequences, 1, keys], device).DetachFromDisposeScope(),
            KeyPacking = Keys(),
            Paths = onOneThread ? new RowPaths(rowsBefore, Array.ConvertAll(endRows, row => (int)row)) : null,
            // The shared prefix has no query in the last block; its slot repeats the query of class 0 and is not gathered.
            QueryPacking = new RowPacking([0, .. Enumerable.Range(0, Count)], [.. Enumerable.Range(1, Count)], [], device),
        };
    }

    /// <summary>Number of classes.</summary>
    public int Count { get; }

    /// <summary>Number of packed rows.</summary>
    public int RowCount => (int)_tokens.shape[0];

    /// <summary>Length in tokens of the prefix shared by all texts, which is computed once.</summary>
    public int SharedLength { get; }

    /// <summary>
    /// The packed rows after the leading layers without prompts. If nothing in the input of the texts is learned, they are constant:
    /// computed once for each list of blocks and owned by this object, until another number of layers is requested for the same blocks.
    /// Otherwise they are computed on every call, in the caller's dispose scope.
    /// </summary>
    /// <param name="blocks">The blocks of the tower.</param>
    /// <param name="layers">Number of leading layers; 0: only token plus position embeddings.</param>
    /// <param name="context">[vectors, width] the context vectors that the texts have placeholders for; null for texts without a
    /// context.</param>
    /// <param name="through">Runs those layers on the embeddings [rows, width].</param>
    /// <returns>[rows, width], or [classes, width] after the last layer.</returns>
    /// <exception cref="ArgumentException">The texts have a context and <paramref name="context"/> is null, or the reverse.</exception>
    public Tensor AfterPlainLayers(IReadOnlyList<BlockWeights> blocks, int layers, Tensor? context, Func<Tensor, Tensor> through)
    {
        if (context is null != _contextRows is null)
            throw new ArgumentException("The class texts and the prompts must either both have a context or neither.", nameof(context));
        if (!_frozen)
            return through(Embed(context));
        if (_remembered.TryGetValue(blocks, out var known) && known.Layers == layers)
            return known.Rows;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor rows = through(Embed(context: null)).DetachFromDisposeScope();
        known.Rows?.Dispose();
        _remembered[blocks] = (layers, rows);
        return rows;
    }

    /// <summary>[classes] the packed row of each class's end-of-text token.</summary>
    public Tensor EndRows { get; }

    public AttentionLayout Body { get; }

    public AttentionLayout Last { get; }

    public void Dispose()
    {
        foreach (var (_, rows) in _remembered.Values)
            rows.Dispose();
        _tokens.Dispose();
        _positions.Dispose();
        _tokenMask?.Dispose();
        _contextRows?.Dispose();
        _contextVectors?.Dispose();
        EndRows.Dispose();
        Body.Dispose();
        Last.Dispose();
    }

    private Tensor Embed(Tensor? context)
    {
        using var scope = NewDisposeScope();
        Tensor tokens = _weights.TokenEmbedding.index_select(0, _tokens);
        if (context is not null)
            tokens = (tokens * _tokenMask!).index_add(0, _contextRows!, context.index_select(0, _contextVectors!), HeldScalar.One);
        return tokens.Plus(_weights.PositionEmbedding.index_select(0, _positions)).MoveToOuterDisposeScope();
    }

    /// <summary>Number of leading tokens equal in all texts; every text keeps at least its last token for itself.</summary>
    private static int SharedBeginning(int[][] texts)
    {
        int longest = texts.Min(ids => ids.Length) - 1,
            shared = 0;
        while (shared < longest && texts.All(ids => ids[shared] == texts[0][shared]))
            shared++;
        return shared;
    }

    private static float[] Masked(int length)
    {
        var mask = new float[length];
        Array.Fill(mask, float.NegativeInfinity);
        return mask;
    }
}
