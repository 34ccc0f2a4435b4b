using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Adds CLIP's embeddings of a column of images or texts. Nothing is learned: <see cref="Fit"/> only checks the columns.</summary>
/// <remarks>
/// <para>To create it, use <see cref="ClipCatalog.ClipImageEmbedding"/> or <see cref="ClipCatalog.ClipTextEmbedding"/>.</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type</description></listheader>
/// <item><term>Input (images)</term><description><c>MLImage</c>, path as text, or the bytes of an encoded file</description></item>
/// <item><term>Input (texts)</term><description>Text; a missing text is read as an empty one</description></item>
/// <item><term>Output</term><description>Vector of <c>float</c> with the fixed size
/// <see cref="ClipConfig.EmbeddingWidth"/></description></item>
/// </list>
/// </remarks>
public sealed class ClipEmbeddingEstimator : IEstimator<ClipEmbeddingTransformer>
{
    private readonly IHostEnvironment _environment;
    private readonly string _outputColumnName,
        _inputColumnName;
    private readonly ClipBackbone _backbone;
    private readonly ClipEmbeddingOptions _options;

    internal ClipEmbeddingEstimator(
        IHostEnvironment environment,
        string outputColumnName,
        string? inputColumnName,
        ClipBackbone backbone,
        ClipEmbeddingOptions options
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(outputColumnName);
        ArgumentNullException.ThrowIfNull(backbone);
        OptionChecks.RequireName(inputColumnName ?? outputColumnName, nameof(inputColumnName));
        options.Validate();
        bool needsText = options.Input == EmbeddedInput.Text;
        if (needsText && !backbone.HasTextTower)
            throw new ArgumentException(
                $"The CLIP '{backbone.Name}' came in a model zip that carries its image tower only, but texts need the text tower: open "
                    + "CLIP's folder.",
                nameof(backbone)
            );
        (_environment, _backbone, _options) = (environment, backbone, options);
        (_outputColumnName, _inputColumnName) = (outputColumnName, inputColumnName ?? outputColumnName);
    }

    /// <summary>Checks the columns and loads CLIP's weights, unless they are already loaded in this process; no row is read.</summary>
    /// <param name="input">Data with the input column.</param>
    /// <returns>The transformer. The caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or of an unsuitable type.</exception>
    /// <exception cref="IOException">CLIP's weights are missing or have changed.</exception>
    public ClipEmbeddingTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        GetOutputSchema(MLNetInternals.ShapeOf(input.Schema));
        using var log = new HostLog(_environment, nameof(ClipEmbeddingEstimator), "Fit");
        EnvironmentOptions options = MLNetInternals.OptionsOf(_environment);
        TorchSharp.torch.Device device = ComputeDevice.Choose(
            _options.Device,
            options.GpuDeviceId,
            string.IsNullOrWhiteSpace(_options.Device) && options.FallbackToCpu,
            log.Info,
            log.Warning,
            nameof(ClipEmbeddingOptions.Device)
        );
        return new ClipEmbeddingTransformer(
            _environment,
            new EmbeddingColumns(_inputColumnName, _outputColumnName, _options.BatchSize),
            _options.Describe(BackboneReference.To(_backbone)),
            _backbone,
            device
        );
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        if (_options.Input == EmbeddedInput.Image)
            ImageColumn.Check(inputSchema, _inputColumnName);
        else
            TextColumn.Check(inputSchema, _inputColumnName);
        return EmbeddingSchema.Promise(inputSchema, _outputColumnName);
    }
}
