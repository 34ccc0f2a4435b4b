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
/// <para>Saved with <c>mlContext.Model.Save</c> and loaded with <c>mlContext.Model.Load</c> as any ML.NET model. The zip names the CLIP by
/// SHA-256, which is found as that of a <see cref="DplTransformer"/> is, unless <see cref="CarriesClip"/> puts it into the zip.</para>
/// <para>Thread-safe. Rows are embedded in batches when the output column is first asked for, which then costs a forward pass for every
/// pass over the data: put <c>AppendCacheCheckpoint</c> behind it before a trainer that reads its data more than once.</para>
/// </remarks>
public sealed class ClipEmbeddingTransformer : ITransformer, IDisposable
{
    private readonly EmbeddingColumns _columns;
    private readonly EmbeddingDescription _description;
    private readonly TorchSharp.torch.Device _device;
    private readonly IEmbedder _embedder;
    private readonly EmbeddingSchema _schema;
    private readonly IDisposable? _hold; // on a CLIP that exists in memory only
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

    /// <summary>Name of the column that is embedded.</summary>
    public string InputColumnName => _columns.Input;

    /// <summary>Name of the column with the vectors.</summary>
    public string OutputColumnName => _columns.Output;

    /// <summary>The frozen CLIP.</summary>
    public ClipBackbone Backbone { get; }

    /// <summary>Whether every vector has length 1.</summary>
    public bool IsNormalized => _description.Normalize;

    /// <summary>Whether a zip holds CLIP, so that it loads without CLIP's folder: of an embedding of images the image tower (some 330 MiB
    /// for ViT-B/16), of texts the whole CLIP (some 570 MiB). After loading, whether its zip did.</summary>
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

    /// <summary>Adds the vectors. Rows are read and embedded in batches when the column is first asked for.</summary>
    /// <param name="input">With the input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>As <see cref="Transform(IDataView)"/>, with a way to end what reads the result.</summary>
    /// <param name="input">With the input column.</param>
    /// <param name="cancellationToken">Ends the work before the next row: whoever reads a row without a vector yet gets an
    /// <see cref="OperationCanceledException"/>.</param>
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

    /// <summary>Does something with the image tower, which a dispose waits for, and how images are prepared for it.</summary>
    /// <exception cref="InvalidOperationException">Texts are embedded.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T UseTower<T>(Func<FoldedImageTower, ClipImageProcessorConfig, T> work) =>
        _embedder is ImageEmbedder images
            ? images.Use(() => work(images.Tower, images.Preprocessing))
            : throw new InvalidOperationException($"The column '{OutputColumnName}' embeds texts.");

    /// <summary>Does something with the text tower, which a dispose waits for, and how texts are read for it.</summary>
    /// <exception cref="InvalidOperationException">Images are embedded.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T UseTextTower<T>(Func<TextWeights, ClipTokenizer, T> work) =>
        _embedder is TextEmbedder texts
            ? texts.Use(() => work(texts.Weights, texts.Tokenizer))
            : throw new InvalidOperationException($"The column '{OutputColumnName}' embeds images.");

    /// <summary>Reads an embedding, whose CLIP the zip carries or names.</summary>
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
        // The transformer takes a share of its own.
        using IDisposable? untilThen = backbone.Hold();
        log.Info($"Backbone: {backbone}.");
        return new ClipEmbeddingTransformer(environment, columns, description, backbone, device);
    }

    /// <summary>Gives back one share of the model, as <see cref="DplTransformer.Dispose"/> does: whoever made it has one, and so has each
    /// <c>PredictionEngine</c> made of it. With the last one, forward passes under way end first; later ones throw
    /// <see cref="ObjectDisposedException"/>. Any thread may call it, and more than once.</summary>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _embedder.Dispose();
        _hold?.Dispose();
    }

    private ScoredColumn Find(DataViewSchema schema) => _embedder.Find(schema, _columns.Input);
}

/// <summary>What ML.NET calls to load an embedding.</summary>
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
