using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>Computes CLIP's vectors for one kind of input. Thread-safe.</summary>
internal interface IEmbedder : IDisposable
{
    /// <summary>Combines the input column with the computation on it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or of an unsuitable type.</exception>
    ScoredColumn Find(DataViewSchema schema, string columnName);

    /// <summary>Runs work that disposal waits for.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    T Use<T>(Func<T> work);
}

/// <summary>Helpers shared by the embedders.</summary>
internal static class Embedders
{
    /// <summary>The transformer's name in the gate's exception.</summary>
    public const string Owner = "Microsoft.ML.Dpl.ClipEmbeddingTransformer";

    /// <param name="backbone">The CLIP; its tower is rented until the result is disposed.</param>
    /// <param name="description">What is embedded, and how.</param>
    /// <param name="batchSize">Maximum number of rows per forward pass.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="warn">Receives warnings about truncated texts.</param>
    /// <exception cref="IOException">The weights are missing or have changed.</exception>
    public static IEmbedder Create(
        ClipBackbone backbone,
        EmbeddingDescription description,
        int batchSize,
        Device device,
        Action<string> warn
    )
    {
        using var ordinary = inference_mode(false);
        return description.Input == EmbeddedInput.Image
            ? new ImageEmbedder(backbone, description, batchSize, device)
            : new TextEmbedder(backbone, description, batchSize, device, warn);
    }

    /// <summary>The rows of [n, embedding] features, optionally normalised to length 1.</summary>
    public static float[][] Rows(Tensor features, bool normalize)
    {
        int width = (int)features.shape[1];
        Tensor rows = normalize ? PromptedClip.UnitRows(features) : features;
        return [.. rows.contiguous().cpu().data<float>().ToArray().Chunk(width)];
    }
}

/// <summary>Embeds images with the plain image tower.</summary>
internal sealed class ImageEmbedder : IEmbedder, IImageScorer
{
    private readonly ImageEncoder _encoder;
    private readonly EmbeddingDescription _description;
    private readonly TensorGate _gate = new(Embedders.Owner);

    public ImageEmbedder(ClipBackbone backbone, EmbeddingDescription description, int batchSize, Device device)
    {
        using var scope = NewDisposeScope();
        (_description, BatchSize) = (description, batchSize);
        _encoder = new ImageEncoder(backbone, weights => new FoldedImageTower(weights, new Tensor?[weights.Blocks.Count]), device);
    }

    public int BatchSize { get; }

    /// <summary>Valid within <see cref="Use"/>.</summary>
    public FoldedImageTower Tower => _encoder.Tower;

    /// <summary>The image preprocessing.</summary>
    public ClipImageProcessorConfig Preprocessing => _encoder.Preprocessing;

    public ScoredColumn Find(DataViewSchema schema, string columnName) =>
        ImageColumn.Find(schema, columnName, _description.Reading).ScoredBy(this);

    public byte[] Prepare(RgbImage image) => _encoder.Prepare(image);

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single image.</exception>
    public float[][] Score(IReadOnlyList<byte[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            images => Use(() => Embedders.Rows(_encoder.Tower.Forward(_encoder.Normalised(images)), _description.Normalize)),
            "embedding one image",
            "Give this process more memory, end other processes, or use a smaller CLIP."
        );

    public T Use<T>(Func<T> work) => _gate.Use(work);

    public void Dispose() => _gate.Dispose(_encoder.Dispose);
}

/// <summary>Embeds texts with the plain text tower.</summary>
internal sealed class TextEmbedder : IEmbedder, IBatchScorer<int[]>
{
    private readonly Lease<TextWeights> _weights;
    private readonly TokenReader _tokens;
    private readonly bool _normalize;
    private readonly TensorGate _gate = new(Embedders.Owner);

    public TextEmbedder(ClipBackbone backbone, EmbeddingDescription description, int batchSize, Device device, Action<string> warn)
    {
        (_normalize, BatchSize) = (description.Normalize, batchSize);
        _tokens = new TokenReader(backbone.CreateTokenizer(), backbone.Config.ContextLength, description.RefuseLongTexts, warn);
        _weights = backbone.RentTextTower(device);
    }

    public int BatchSize { get; }

    /// <summary>Valid within <see cref="Use"/>.</summary>
    public TextWeights Weights => _weights.Value;

    /// <summary>The tokenizer for the texts.</summary>
    public ClipTokenizer Tokenizer => _tokens.Tokenizer;

    public ScoredColumn Find(DataViewSchema schema, string columnName) => _tokens.ScoredBy(this, schema, columnName);

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single text.</exception>
    public float[][] Score(IReadOnlyList<int[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            texts =>
                Use(() =>
                {
                    using var arranged = new ClassTexts(texts, _weights.Value);
                    var plain = new PlainBranch(_weights.Value.Blocks.Count);
                    return Embedders.Rows(new TextTower(_weights.Value).Features(arranged, plain), _normalize);
                }),
            "embedding one text",
            "Give this process more memory, end other processes, or use a smaller CLIP."
        );

    public T Use<T>(Func<T> work) => _gate.Use(work);

    public void Dispose() => _gate.Dispose(_weights.Dispose);
}
