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
/// <para>Saved with <c>mlContext.Model.Save</c> and loaded with <c>mlContext.Model.Load</c> like any ML.NET model. The zip contains the
/// prompts, the classes' text features, the configuration and the search's history, and identifies the CLIP by SHA-256; the CLIP itself
/// must be available where the model is loaded, unless <see cref="Contents"/> puts it into the zip.</para>
/// <para>Thread-safe. Columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type</description></listheader>
/// <item><term>Image (input)</term><description><c>MLImage</c>, path as text, or the bytes of an encoded file</description></item>
/// <item><term>PredictedLabel (output)</term><description>A key with the label column's key values, or text if the label was
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
    private readonly IDisposable? _hold; // keeps a CLIP that exists only in memory
    private ModelContents _contents;
    private OnnxPrecision _onnxPrecision;
    private readonly ModelShares _shares = new();

    /// <summary>Takes ownership of <paramref name="prompts"/>.</summary>
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

    /// <summary>Prompt lengths per layer; with a <see cref="Mixture"/>, that of the candidate with the largest weight in each layer, the
    /// shorter one in a tie.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>The candidates that the layers mix, and their weights; null if each layer has one prompt of a fixed length or
    /// none.</summary>
    public TrainedMixture? Mixture => _prompts.Rows.Mixture;

    /// <summary>Report of the search that found the configuration; null if the configuration was given.</summary>
    public SearchReport? SearchReport { get; }

    /// <summary>Accuracy of the prompts on the validation rows, 0 to 1; null without validation rows.</summary>
    public double? ValidationAccuracy => _description.ValidationAccuracy;

    /// <summary>Whether the fit was cancelled, in which case this is its best model up to then; see
    /// <see cref="InterruptionBehavior.ReturnBest"/>.</summary>
    public bool WasCancelled => _description.WasCancelled;

    /// <summary>The configurations that were compared before training, in the order of comparison; empty if there was no comparison. The
    /// one with the lowest validation loss was trained.</summary>
    public IReadOnlyList<Finalist> Finalists => _description.Finalists ?? [];

    /// <summary>Whether the fit's loss or gradients became infinite or NaN, in which case this is the best model from before that; see
    /// <see cref="InterruptionBehavior.ReturnBest"/>.</summary>
    public bool HasDiverged => _description.HasDiverged;

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public string Template => _description.Template;

    /// <summary>The learned context in the texts of the classes, which then consist of the context, the name and a full stop; null if the
    /// texts follow <see cref="Template"/>.</summary>
    public PromptContext? Context => _description.Context;

    /// <summary>The templates over which the class features are averaged; null if only <see cref="Template"/> is used.</summary>
    public IReadOnlyList<string>? Templates => _description.Templates;

    /// <summary>How the prompts were built and trained; null for the plain method, or if unknown.</summary>
    public PromptDesign? Design => _description.Design;

    /// <summary>The frozen CLIP.</summary>
    public ClipBackbone Backbone { get; }

    /// <summary>
    /// The minimum probability for a class to be predicted, above 0 and at most 1: if no class reaches it, the predicted label is ML.NET's
    /// missing value, key 0 or an empty text. Null, as after a fit: the most probable class is always predicted. Scores are not affected.
    /// Stored in the zip; data views and prediction engines that were created before a change keep the earlier value.
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

    /// <summary>What a saved zip of this model contains; after loading, what the loaded zip contained.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not defined.</exception>
    /// <exception cref="InvalidOperationException">The value is <see cref="ModelContents.WithClip"/>, but this model came from a zip
    /// without the text tower; or it is <see cref="ModelContents.WithOnnx"/>, but the application does not reference the package
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

    /// <summary>The precision of the graph in a zip saved with <see cref="ModelContents.WithOnnx"/>; after loading, that of the loaded
    /// zip.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not defined.</exception>
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

    /// <summary>Adds predicted label and score. Images are read and scored lazily, in batches, when one of the two columns is
    /// read.</summary>
    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    /// <summary>Like <see cref="Transform(IDataView)"/>, with cancellation of cursors over the result, for example in an
    /// evaluation.</summary>
    /// <param name="input">Data with the image column.</param>
    /// <param name="cancellationToken">Cancels scoring before the next image: reading a row whose scores have not been computed yet throws
    /// <see cref="OperationCanceledException"/>.</param>
    public IDataView Transform(IDataView input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedScoringDataView(input, FindImages(input.Schema).ScoredBy(_scorer), _scores, cancellationToken);
    }

    /// <summary>Shows which parts of an image support a class, as a heat map over the patches that CLIP sees. Takes about as long as three
    /// predictions of one image.</summary>
    /// <param name="image">A Bgra32 or Rgba32 image of any size; still owned by the caller.</param>
    /// <param name="className">One of <see cref="ClassNames"/>; null for the most probable class.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    /// <exception cref="InvalidDataException">The image has a different pixel format.</exception>
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

    /// <summary>Creates a classifier for other classes without training, using the trained prompts with other names, as in base-to-new
    /// generalisation (Zhou et al., CVPR 2022, arXiv 2203.05557).</summary>
    /// <param name="names">The new classes in the order of the scores, at least two. They are put into <see cref="Template"/>, with
    /// underscores replaced by spaces. A name that the model was trained with keeps its task residual
    /// (<see cref="DplTrainer.DesignOptions.TaskResidual"/>), other names have none.</param>
    /// <returns>
    /// A transformer with the same columns, prompts and template. A predicted label that is a key stays a key, with the new names as its
    /// values, which are text if the old values were numbers and a new name is not a number. A predicted label that is text stays text. The
    /// validation accuracy is not copied, because it was measured on other classes. The caller disposes the new transformer, which is
    /// independent of this one.
    /// </returns>
    /// <exception cref="ArgumentException">There are fewer than two names; a name is blank, repeated or too long for CLIP; or two names
    /// give the same tokens.</exception>
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
                // Sets the fields directly: whether an ONNX writer is available matters only when the model is saved.
                _contents = _contents,
                _onnxPrecision = _onnxPrecision,
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

    /// <summary>The reference to the CLIP as stored in the model, wherever the CLIP in use was found.</summary>
    internal BackboneReference TrainedOn => _description.Backbone;

    /// <summary>The image preprocessing.</summary>
    internal ClipImageProcessorConfig Preprocessing => _scorer.Preprocessing;

    /// <summary>Runs work with the folded classifier, in its own dispose scope; disposal waits for it.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    internal T Use<T>(Func<FoldedClassifier, T> work) => _scorer.Use(() => work(_scorer.Classifier));

    /// <summary>Releases one reference to the model. Releasing the last one waits for running predictions, then frees the prompts and this
    /// transformer's lease on CLIP; later predictions throw <see cref="ObjectDisposedException"/>. May be called on any thread and more
    /// than once.</summary>
    /// <remarks>
    /// <para>The creator of the model has one reference, and so has each <c>PredictionEngine</c> created from it, whose own <c>Dispose</c>
    /// calls this method. Engines can therefore be created per request or from a pool, and the model stays alive until its owner and all of
    /// its engines have disposed it.</para>
    /// <para>An engine that was created with <c>OwnsTransformer = false</c> or is never disposed keeps its reference, and a pipeline loaded
    /// by ML.NET forwards only the first call. In these cases the garbage collector frees the model once it is unreachable.</para>
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
