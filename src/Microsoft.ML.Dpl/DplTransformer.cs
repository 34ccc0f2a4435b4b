using System.Drawing;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl;

/// <summary>Classifies images with a prompted CLIP.</summary>
/// <remarks>
/// <para>Saved with <c>mlContext.Model.Save</c> and loaded with <c>mlContext.Model.Load</c> as any ML.NET model. The zip holds the prompts,
/// the classes' text features, the configuration and the search's history, and names the CLIP by SHA-256; the CLIP itself must be at hand
/// where the model is loaded, unless <see cref="Contents"/> puts it into the zip.</para>
/// <para>Thread-safe. Columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type</description></listheader>
/// <item><term>Image (input)</term><description><c>MLImage</c>, path as text, or the bytes of an encoded file</description></item>
/// <item><term>PredictedLabel (output)</term><description>A key with the label column's key values, or text where the label was
/// text</description></item>
/// <item><term>Score (output)</term><description>Vector of <c>float</c>: the classes' probabilities, which sum to 1; slot names are the
/// classes</description></item>
/// </list>
/// </remarks>
public sealed partial class DplTransformer : ITransformer, IDisposable
{
    private readonly ModelColumns _columns;
    private StoredDescription _description;
    private readonly TrainedPrompts _prompts;
    private readonly PromptScorer _scorer;
    private readonly TorchSharp.torch.Device _device;
    private ScoreSchema _scores;
    private readonly IDisposable? _hold; // on a CLIP that exists in memory only
    private ModelContents _contents;
    private OnnxPrecision _onnxPrecision;
    private readonly ModelShares _shares = new();

    /// <summary>Takes over <paramref name="prompts"/>.</summary>
    internal DplTransformer(
        ModelColumns columns,
        StoredDescription description,
        TrainedPrompts prompts,
        ClipBackbone backbone,
        TorchSharp.torch.Device device
    )
    {
        (_columns, _description, _prompts, Backbone, _device) = (columns, description, prompts, backbone, device);
        _hold = backbone.Hold();
        try
        {
            _scorer = new PromptScorer(backbone, prompts, columns.BatchSize, device);
        }
        catch
        {
            _hold?.Dispose();
            throw;
        }
        _scores = new ScoreSchema(columns.Classes, columns.PredictedLabelColumnName, columns.ScoreColumnName, description.Threshold);
        Configuration = prompts.Rows.Configuration;
        SearchReport = description.Search;
    }

    /// <summary>The classes in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames => _columns.Classes.Names;

    /// <summary>Name of the column that images are read from.</summary>
    public string ImageColumnName => _columns.ImageColumnName;

    /// <summary>Name of the column with the classes' probabilities.</summary>
    public string ScoreColumnName => _columns.ScoreColumnName;

    /// <summary>Prompt lengths per layer; where <see cref="Mixture"/> has several, that of the largest weight in each layer, the shorter
    /// of equals.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>The candidates that the layers mix, and their weights; null where each layer has one prompt of a fixed length, or
    /// none.</summary>
    public TrainedMixture? Mixture => _prompts.Rows.Mixture;

    /// <summary>How the search came to the configuration; null where it was given.</summary>
    public SearchReport? SearchReport { get; }

    /// <summary>Accuracy of the prompts on the validation rows, 0 to 1; null without validation rows.</summary>
    public double? ValidationAccuracy => _description.ValidationAccuracy;

    /// <summary>Whether the fit was cancelled and this is the best it had by then; see <see cref="InterruptionBehavior.ReturnBest"/>.</summary>
    public bool WasCancelled => _description.WasCancelled;

    /// <summary>What the trained configuration was compared to, in the order of comparison; empty where nothing was compared. The one with
    /// the lowest validation loss was trained.</summary>
    public IReadOnlyList<Finalist> Finalists => _description.Finalists ?? [];

    /// <summary>Whether the fit's loss or gradients ceased to be numbers and this is the best it had before; see
    /// <see cref="InterruptionBehavior.ReturnBest"/>.</summary>
    public bool HasDiverged => _description.HasDiverged;

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template => _description.Template;

    /// <summary>The learned context in the texts of the classes, which then are the context, the name and a full stop; null: they are the
    /// <see cref="Template"/>'s.</summary>
    public PromptContext? Context => _description.Context;

    /// <summary>The templates whose mean the class features are; null: <see cref="Template"/> alone is read.</summary>
    public IReadOnlyList<string>? Templates => _description.Templates;

    /// <summary>What the prompts were made and trained with; null: with the plain method, or it is not known.</summary>
    public PromptDesign? Design => _description.Design;

    /// <summary>The frozen CLIP.</summary>
    public ClipBackbone Backbone { get; }

    /// <summary>
    /// The least probability of a class that is predicted, above 0 to 1: where none of the classes comes to it, the image is none of them,
    /// and the predicted label is missing, as ML.NET has it: key 0, or an empty text. Null, as after a fit: the most probable class is
    /// predicted, however improbable. Scores stay as they are. Kept in the zip; data views and engines that were made before it was set
    /// keep to what was then.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0 and at most 1.</exception>
    public double? Threshold
    {
        get => _description.Threshold;
        set
        {
            OptionChecks.RequireRange(value is null or (> 0 and <= 1), value, "above 0 and at most 1", nameof(Threshold));
            _description = _description with { Threshold = value };
            _scores = new ScoreSchema(_columns.Classes, _columns.PredictedLabelColumnName, _columns.ScoreColumnName, value);
        }
    }

    /// <summary>What a zip of this model will hold; after loading, what its zip held.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such value.</exception>
    /// <exception cref="InvalidOperationException"><see cref="ModelContents.WithClip"/> is asked for, but this model came from a zip
    /// without the text tower; or <see cref="ModelContents.WithOnnx"/>, but the application does not reference the package
    /// <c>Microsoft.ML.Dpl.Onnx</c>.</exception>
    public ModelContents Contents
    {
        get => _contents;
        set
        {
            if (!Enum.IsDefined(value))
                throw new ArgumentOutOfRangeException(nameof(value), value, "There are no such contents.");
            if (value == ModelContents.WithClip && !Backbone.HasTextTower)
                throw new InvalidOperationException(
                    $"The CLIP '{Backbone.Name}' came in a model zip that carries its image tower only, so it cannot be saved whole. "
                        + $"Load a zip of this model with CLIP's folder at hand, or one saved with {nameof(ModelContents.WithClip)}."
                );
            if (value == ModelContents.WithOnnx)
                OnnxWriter.Find();
            _contents = value;
        }
    }

    /// <summary>What the graph of a zip with <see cref="ModelContents.WithOnnx"/> will be; after loading, what it was.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such value.</exception>
    public OnnxPrecision OnnxPrecision
    {
        get => _onnxPrecision;
        set
        {
            if (!Enum.IsDefined(value))
                throw new ArgumentOutOfRangeException(nameof(value), value, "There is no such precision.");
            _onnxPrecision = value;
        }
    }

    bool ITransformer.IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        FindImages(inputSchema);
        return _scores.AppendTo(inputSchema);
    }

    /// <summary>Adds predicted label and score. Images are read and scored in batches when one of the two columns is first asked
    /// for.</summary>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>As <see cref="Transform(IDataView)"/>, with a way to end what reads the result, such as an evaluation.</summary>
    /// <param name="input">With the image column.</param>
    /// <param name="cancellationToken">Ends the scoring before the next image: whoever reads a row without scores yet gets an
    /// <see cref="OperationCanceledException"/>.</param>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, FindImages(input.Schema).ScoredBy(_scorer), _scores, cancellationToken);
    }

    /// <summary>Shows which parts of an image speak for a class: a heat map over the patches that CLIP sees. Costs about three predictions
    /// of one image.</summary>
    /// <param name="image">Bgra32 or Rgba32, of any size; stays the caller's.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null: the most probable class.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    /// <exception cref="InvalidDataException">The image has another pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public ClassExplanation Explain(MLImage image, string? className = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        int? chosen = className is null ? null : _columns.Classes.IndexOf(className);
        return Explain(ImageDecoder.FromMLImage(image), chosen);
    }

    private ClassExplanation Explain(RgbImage image, int? chosen)
    {
        (PatchRelevance relevance, RectangleF seen) = _scorer.Explain(image, chosen);
        int grid = Backbone.Config.Grid;
        return new ClassExplanation(
            ClassNames[relevance.Class],
            relevance.Probability,
            grid,
            grid,
            relevance.Patches,
            seen,
            image.Width,
            image.Height
        );
    }

    /// <summary>A classifier for other classes, without training: the trained prompts around other names, as in base-to-new generalisation
    /// (Zhou et al., CVPR 2022, arXiv 2203.05557).</summary>
    /// <param name="names">The new classes in the order of the scores, at least two. They go into <see cref="Template"/>; underscores
    /// become spaces. A name that the model was trained with keeps its task residual (<see cref="DplTrainer.DesignOptions.TaskResidual"/>),
    /// others have none.</param>
    /// <returns>
    /// A transformer with the same columns, prompts and template. Where the predicted label is a key it stays a key, whose values are the
    /// new names; they are text where the old ones were numbers and a new one is none. Where it is text it stays text. Validation accuracy,
    /// measured on other classes, is not carried over. The caller disposes it; this transformer is independent of it.
    /// </returns>
    /// <exception cref="ArgumentException">Fewer than two names, a blank or repeated one, one too long for CLIP, or two that CLIP reads
    /// alike.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read, or the model has a class-specific
    /// <see cref="Context"/>.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public DplTransformer WithClasses(IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        string[] listed = [.. names];
        if (listed.Length < 2)
            throw new ArgumentException($"{listed.Length} class names are too few to choose from; give at least two.", nameof(names));
        LabelClasses classes;
        try
        {
            classes = _columns.Classes.WithNames(listed);
        }
        catch (InvalidOperationException e)
        {
            throw new ArgumentException(e.Message, nameof(names), e);
        }
        if (Context is { ClassSpecific: true })
            throw new InvalidOperationException(
                "The model's context is class-specific: its vectors were learned for its own classes, so it cannot read others. Train with "
                    + $"{nameof(PromptContext)}.{nameof(PromptContext.ClassSpecific)} = false for new classes."
            );
        TrainedPrompts prompts = _scorer.Use(() =>
            new TextBranch(Backbone, _device).Encode(_prompts, ClassNames, classes, _description.Texts)
        );
        try
        {
            return new DplTransformer(
                _columns with
                {
                    Classes = classes,
                },
                _description with
                {
                    ValidationAccuracy = null,
                },
                prompts,
                Backbone,
                _device
            )
            {
                Contents = Contents,
                OnnxPrecision = OnnxPrecision,
            };
        }
        catch
        {
            prompts.Dispose();
            throw;
        }
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(inputSchema, FindImages(inputSchema).ScoredBy(_scorer), _scores, _shares.Take);

    /// <summary>The CLIP as the model names it, wherever the present one was found.</summary>
    internal BackboneReference TrainedOn => _description.Backbone;

    /// <summary>How images are prepared.</summary>
    internal ClipImageProcessorConfig Preprocessing => _scorer.Preprocessing;

    /// <summary>Does something with what scores are computed with, which a dispose waits for; in a dispose scope of its own.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T Use<T>(Func<FoldedClassifier, T> work) => _scorer.Use(() => work(_scorer.Classifier));

    /// <summary>Gives back one share of the model. The last frees the prompts and this transformer's share of CLIP: predictions under way
    /// end first; later ones throw <see cref="ObjectDisposedException"/>. Any thread may call it, and more than once.</summary>
    /// <remarks>
    /// <para>Whoever made the model has one share, and so has each <c>PredictionEngine</c> made of it, whose own <c>Dispose</c> calls this
    /// one: engines may come and go, one for each request or from a pool, and the model stays until its owner and all of its engines have
    /// disposed it.</para>
    /// <para>An engine made with <c>OwnsTransformer = false</c>, or one that is never disposed, keeps its share, and a pipeline that ML.NET
    /// loaded passes on only the first call. Such a model is freed by the garbage collector, once nothing refers to it.</para>
    /// </remarks>
    public void Dispose()
    {
        if (!_shares.GiveBack())
            return;
        _scorer.Dispose();
        _hold?.Dispose();
        _prompts.Dispose();
    }

    private ImageColumn FindImages(DataViewSchema schema) => ImageColumn.Find(schema, _columns.ImageColumnName, _description.Reading);
}
