using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Adds CLIP's embedding of a column of images or texts.</summary>
/// <remarks>
/// <para>Saved with <c>mlContext.Model.Save</c> and loaded with <c>mlContext.Model.Load</c> like any ML.NET model. The zip identifies the
/// CLIP by SHA-256, and loading finds it as for a <see cref="DplTransformer"/>, unless <see cref="CarriesClip"/> puts it into the
/// zip.</para>
/// <para>Thread-safe. Rows are embedded lazily, in batches, when the output column is read, and again in every pass over the data: use
/// <c>AppendCacheCheckpoint</c> before a trainer that reads its data more than once.</para>
/// </remarks>
public sealed class ClipEmbeddingTransformer : ITransformer, IDisposable
{
    private readonly EmbeddingColumns _columns;
    private readonly EmbeddingDescription _description;
    private readonly TorchSharp.torch.Device _device;
    private readonly IEmbedder _embedder;
    private readonly EmbeddingSchema _schema;
    private readonly IDisposable? _hold; // keeps a CLIP that exists only in memory
    private readonly ModelShares _shares = new();
    private bool _carriesClip;

    internal ClipEmbeddingTransformer(
        IHostEnvironment environment,
        EmbeddingColumns columns,
        EmbeddingDescription description,
        ClipBackbone backbone,
        TorchSharp.torch.Device device
    )
    {
        (_columns, _description, Backbone, _device) = (columns, description, backbone, device);
        _schema = new EmbeddingSchema(columns.Output, backbone.Config.EmbeddingWidth);
        _hold = backbone.Hold();
        try
        {
            _embedder = Embedders.Create(backbone, description, columns.BatchSize, device, problem =>
            {
                using var log = new HostLog(environment, nameof(ClipEmbeddingTransformer), "Transform");
                log.Warning(problem);
            });
        }
        catch
        {
            _hold?.Dispose();
            throw;
        }
        _carriesClip = description.CarriesClip;
    }

    /// <summary>Name of the column to embed.</summary>
    public string InputColumnName => _columns.Input;

    /// <summary>Name of the output column with the vectors.</summary>
    public string OutputColumnName => _columns.Output;

    /// <summary>The frozen CLIP.</summary>
    public ClipBackbone Backbone { get; }

    /// <summary>Whether vectors are normalised to length 1.</summary>
    public bool IsNormalized => _description.Normalize;

    /// <summary>Whether a saved zip contains CLIP, so that it loads without CLIP's folder: for images, the image tower (about 330 MiB for
    /// ViT-B/16); for texts, the whole CLIP (about 570 MiB). After loading, whether the loaded zip did.</summary>
    public bool CarriesClip
    {
        get => _carriesClip;
        set => _carriesClip = value;
    }

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Find(inputSchema);
        return _schema.AppendTo(inputSchema);
    }

    /// <summary>Adds the vectors. Rows are read and embedded lazily, in batches, when the column is read.</summary>
    /// <param name="input">Data with the input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>Like <see cref="Transform(IDataView)"/>, with cancellation of cursors over the result.</summary>
    /// <param name="input">Data with the input column.</param>
    /// <param name="cancellationToken">Cancels the computation before the next row: reading a row whose vector has not been computed yet
    /// throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, Find(input.Schema), _schema, cancellationToken);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(inputSchema, Find(inputSchema), _schema, _shares.Take);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        EmbeddingDescription description = _description with { CarriesClip = CarriesClip };
        _embedder.Use(() =>
        {
            using ClipEntries clip = ClipEntries.From(Backbone, description.Contents, _device);
            EmbeddingZip.Write(ctx, _columns, description, clip.Streams);
            return true;
        });
    }

    /// <summary>What is embedded, and how.</summary>
    internal EmbeddingDescription Description => _description;

    /// <summary>Runs work with the image tower and its preprocessing; disposal waits for it.</summary>
    /// <exception cref="InvalidOperationException">The transformer embeds texts.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T UseTower<T>(Func<FoldedImageTower, ClipImageProcessorConfig, T> work) =>
        _embedder is ImageEmbedder images
            ? images.Use(() => work(images.Tower, images.Preprocessing))
            : throw new InvalidOperationException($"The column '{OutputColumnName}' embeds texts.");

    /// <summary>Runs work with the text tower and its tokenizer; disposal waits for it.</summary>
    /// <exception cref="InvalidOperationException">The transformer embeds images.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T UseTextTower<T>(Func<TextWeights, ClipTokenizer, T> work) =>
        _embedder is TextEmbedder texts
            ? texts.Use(() => work(texts.Weights, texts.Tokenizer))
            : throw new InvalidOperationException($"The column '{OutputColumnName}' embeds images.");

    /// <summary>Reads an embedding, whose CLIP the zip contains or identifies.</summary>
    internal static ClipEmbeddingTransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        EmbeddingColumns columns,
        EmbeddingDescription description
    )
    {
        using var log = new HostLog(environment, nameof(ClipEmbeddingTransformer), "Loading");
        EnvironmentOptions options = MLNetInternals.OptionsOf(environment);
        TorchSharp.torch.Device device = ComputeDevice.Choose(null, options.GpuDeviceId, options.FallbackToCpu, log.Info, log.Warning);
        ClipBackbone backbone = ClipEntries.ReadOrFind(reader, description.Backbone, description.Contents);
        // Keeps the CLIP until the transformer holds it.
        using IDisposable? untilThen = backbone.Hold();
        log.Info($"Backbone: {backbone}.");
        return new ClipEmbeddingTransformer(environment, columns, description, backbone, device);
    }

    /// <summary>Releases one reference to the model, like <see cref="DplTransformer.Dispose"/>: its creator has one, and so has each
    /// <c>PredictionEngine</c> created from it. Releasing the last one waits for running forward passes; later ones throw
    /// <see cref="ObjectDisposedException"/>. May be called on any thread and more than once.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _embedder.Dispose();
        _hold?.Dispose();
    }

    private ScoredColumn Find(DataViewSchema schema) => _embedder.Find(schema, _columns.Input);
}

/// <summary>The loader that ML.NET calls for an embedding.</summary>
internal static class ClipEmbeddingLoader
{
    // Found by ComponentCatalog through the LoadableClass attribute in MLNetInternals.cs.
    private static ITransformer Create(IHostEnvironment env, ModelLoadContext ctx) =>
        MLNetInternals.Load<ITransformer>(
            env,
            ctx,
            MLNetInternals.EmbeddingLoaderSignature,
            typeof(ClipEmbeddingTransformer).Assembly,
            reader =>
            {
                (EmbeddingColumns columns, EmbeddingDescription description) = EmbeddingZip.Read(reader);
                return ScoringBackend.For(description.Light) is { } backend
                    ? ((IEmbeddingBackend)backend).Load(env, reader, columns, description)
                    : ClipEmbeddingTransformer.Load(env, reader, columns, description);
            }
        );
}
