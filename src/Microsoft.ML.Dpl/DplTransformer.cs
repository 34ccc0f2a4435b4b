using System.Drawing;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Classifies pictures with a prompted CLIP.</summary>
/// <remarks>
/// <para>Saved with <c>mlContext.Model.Save</c> and loaded with <c>mlContext.Model.Load</c> as any ML.NET model. The zip holds the prompts, the classes' text features,
/// the configuration and the search's history, and names the CLIP by SHA-256; the CLIP itself must be at hand where the model is loaded.</para>
/// <para>Thread-safe. Columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type</description></listheader>
/// <item><term>Image (input)</term><description><c>MLImage</c>, path as text, or the bytes of an encoded file</description></item>
/// <item><term>PredictedLabel (output)</term><description>A key with the label column's key values, or text where the label was text</description></item>
/// <item><term>Score (output)</term><description>Vector of <c>float</c>: the classes' probabilities, which sum to 1; slot names are the classes</description></item>
/// </list>
/// </remarks>
public sealed class DplTransformer : ITransformer, IDisposable
{
    private const string PromptsEntry = "prompts.safetensors";

    private readonly ModelFace _face;
    private readonly ModelDescription _description;
    private readonly TrainedPrompts _prompts;
    private readonly PromptScorer _scorer;
    private readonly ScoreSchema _scores;

    /// <summary>Takes over <paramref name="prompts"/>.</summary>
    internal DplTransformer(ModelFace face, ModelDescription description, TrainedPrompts prompts, ClipBackbone backbone, TorchSharp.torch.Device device)
    {
        (_face, _description, _prompts, Backbone) = (face, description, prompts, backbone);
        _scorer = new PromptScorer(backbone, prompts, face.BatchSize, device);
        _scores = new ScoreSchema(face.Classes, face.PredictedLabelColumnName, face.ScoreColumnName);
        Configuration = new PromptConfiguration(description.TextLengths, description.ImageLengths);
        Search = description.Search is { } search ? ReportOf(search) : null;
    }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames => _face.Classes.Names;

    /// <summary>Context lengths per layer.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>How the search came to the configuration; null where it was given.</summary>
    public DplSearchReport? Search { get; }

    /// <summary>Accuracy of the prompts on the validation rows, 0 to 1; null without validation rows.</summary>
    public double? ValidationAccuracy => _description.ValidationAccuracy;

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template => _description.Template;

    /// <summary>The frozen CLIP.</summary>
    public ClipBackbone Backbone { get; }

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        FindImages(inputSchema);
        return _scores.AppendTo(inputSchema);
    }

    /// <summary>Adds predicted label and score. Pictures are read and scored in batches when one of the two columns is first asked for.</summary>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, FindImages(input.Schema), _scores, _scorer);
    }

    /// <summary>Shows which parts of a picture speak for a class: a heat map over the patches that CLIP sees. Costs about three predictions of one picture.</summary>
    /// <param name="picture">Bgra32 or Rgba32, of any size; stays the caller's.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null: the most probable class.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    /// <exception cref="InvalidDataException">The picture has another pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ClassExplanation Explain(MLImage picture, string? className = null)
    {
        ArgumentNullException.ThrowIfNull(picture);
        int? chosen = className is null ? null : _face.Classes.IndexOf(className);
        RgbImage image = ImageDecoder.FromMLImage(picture);
        (PatchRelevance relevance, RectangleF seen) = _scorer.Explain(image, chosen);
        int grid = Backbone.Config.Grid;
        return new ClassExplanation(ClassNames[relevance.Class], relevance.Probability, grid, grid, relevance.Patches, seen, image.Width, image.Height);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(inputSchema, FindImages(inputSchema), _scores, _scorer);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        // A prediction engine disposes its model; writing would fail without a hint of that.
        ObjectDisposedException.ThrowIf(_prompts.ClassFeatures.IsInvalid, this);
        ModelZip.Write(ctx, MLNetInternals.LoaderSignature, typeof(DplTransformer).Assembly, _face, _description.ToJson(), (PromptsEntry, writer => _prompts.Write(writer.BaseStream)));
    }

    /// <summary>Frees the prompts and this transformer's share of CLIP. Predictions under way end first; later ones throw <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        _scorer.Dispose();
        _prompts.Dispose();
    }

    // Found by ComponentCatalog through the LoadableClass attribute in MLNetInternals.cs.
    private static DplTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
        => MLNetInternals.Load(env, ctx, MLNetInternals.LoaderSignature, typeof(DplTransformer).Assembly, reader =>
        {
            ModelFace face = ModelZip.ReadFace(reader);
            ModelDescription description = ModelDescription.FromJson(ModelZip.ReadDescription(reader));
            BackboneReference reference = description.Backbone;
            using var log = new HostLog(env, nameof(DplTransformer), "Loading");
            EnvironmentOptions options = MLNetInternals.OptionsOf(env);
            TorchSharp.torch.Device device = ComputeDevice.Choose(null, options.GpuDeviceId, options.FallbackToCpu, log.Info, log.Warning);
            ClipBackbone backbone = BackboneLocator.Find(reference.Name, reference.Sha256, reference.Location, reference.Vocabulary);
            log.Info($"Backbone: {backbone}.");
            description.RequireLayers(backbone.Config.Text.Layers, backbone.Config.Vision.Layers);
            TrainedPrompts prompts = ModelZip.ReadStream(
                reader, PromptsEntry, stream => TrainedPrompts.Read(stream.BaseStream, PromptsEntry, description.ImageLengths, description.TextLengths, face.Classes.Count, backbone.Config));
            return new DplTransformer(face, description, prompts, backbone, device);
        });

    private static DplSearchReport ReportOf(SearchResult search)
        => new(search.Candidates, [.. search.Epochs.Select(e => new DplSearchEpoch(e.LearningRate, e.TrainLoss, e.ValidationLoss, e.Alphas.Text, e.Alphas.Image))]);

    private ImageColumn FindImages(DataViewSchema schema) => ImageColumn.Find(schema, _face.ImageColumnName, _description.ImageFolder);
}
