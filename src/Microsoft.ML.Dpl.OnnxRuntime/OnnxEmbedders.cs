using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Embeds an image column with the image tower.</summary>
/// <param name="scorer">The scorer; this object takes ownership of it.</param>
/// <param name="reading">How images are read.</param>
internal sealed class OnnxImageEmbedder(OnnxScorer scorer, ImageReading reading) : IEmbedder
{
    public ScoredColumn Find(DataViewSchema schema, string columnName) => ImageColumn.Find(schema, columnName, reading).ScoredBy(scorer);

    public T Use<T>(Func<T> work) => scorer.Use(work);

    public void Dispose() => scorer.Dispose();
}

/// <summary>Embeds a text column with the text tower: the input is tokens, the output vectors. Thread-safe.</summary>
internal sealed class OnnxTextEmbedder : IEmbedder, IBatchScorer<int[]>
{
    private readonly OnnxGraphSession _graph;
    private readonly ScorerOutput _output;
    private readonly ClipConfig _config;
    private readonly TokenReader _tokens;

    /// <param name="session">The session; this object takes ownership if the constructor succeeds.</param>
    /// <param name="output">The requested output.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="tokens">Reads texts as tokens.</param>
    /// <exception cref="InvalidDataException">The graph does not have the expected input or output.</exception>
    public OnnxTextEmbedder(InferenceSession session, ScorerOutput output, ClipConfig config, TokenReader tokens)
    {
        (_output, _config, _tokens) = (output, config, tokens);
        _graph = new OnnxGraphSession(
            session,
            "tokens",
            input => input.ElementType == typeof(long) && input.Dimensions is [< 0, < 0],
            "[batch, length]",
            output
        );
    }

    public int BatchSize => _output.BatchSize;

    /// <summary>How many numbers the output has per text.</summary>
    public int Size => _graph.Size;

    public ScoredColumn Find(DataViewSchema schema, string columnName) => _tokens.ScoredBy(this, schema, columnName);

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single text.</exception>
    public float[][] Score(IReadOnlyList<int[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            ScoreAtOnce,
            _output.Work,
            "Give this process more memory, end other processes, or use a smaller CLIP."
        );

    private float[][] ScoreAtOnce(IReadOnlyList<int[]> prepared)
    {
        int[][] live = [.. prepared.Select((ids, i) => LiveTokens.Read(ids, i, _config))];
        int longest = live.Max(ids => ids.Length);
        // The tower ignores tokens after a text's end, so shorter rows can be padded with any id.
        long[] tokens = new long[live.Length * longest];
        for (int text = 0; text < live.Length; text++)
        for (int i = 0; i < live[text].Length; i++)
            tokens[text * longest + i] = live[text][i];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(tokens, [live.Length, longest]);
        return _graph.Run(input);
    }

    public T Use<T>(Func<T> work) => _graph.Use(work);

    public void Dispose() => _graph.Dispose();
}
