using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Training batches, and what they own.</summary>
internal sealed record TrainFeed(IBatchSource Source, IDisposable? Owned) : IDisposable
{
    public void Dispose() => Owned?.Dispose();
}

/// <summary>Everything that the stages of a fit need: images and texts, CLIP in memory, and checkpoints. Owns them.</summary>
internal sealed class PreparedFit : IDisposable
{
    // Disposed in reverse order.
    private readonly List<IDisposable> _owned = [];
    private FitTexts _texts = null!;
    private FitTeachers _teachers = null!;

    private PreparedFit(ClipBackbone backbone, FitSettings settings, Device device, HostLog log) =>
        (Backbone, Settings, Device, Log) = (backbone, settings, device, log);

    public ClipBackbone Backbone { get; }
    public FitSettings Settings { get; private set; }
    public Device Device { get; }
    public HostLog Log { get; }
    public PromptedClip Clip { get; private set; } = null!;
    public LabelClasses Classes { get; private set; } = null!;

    /// <summary>How the prompts of the layers are parameterised.</summary>
    public IPromptDesign Design => Settings.Design?.Prompts ?? new IndependentPrompts();

    /// <summary>The towers and the seed that prompts are created for.</summary>
    public PromptShape Shape => new(Backbone.Config, Device, Settings.Seed);

    /// <summary>The context, with its length filled in; null without a context.</summary>
    public PromptContext? Context => _texts.Context;

    /// <summary>How the context is placed in a text; null without a context.</summary>
    public ContextLayout? ContextLayout => _texts.Layout;

    /// <inheritdoc cref="FitTexts.Tokens"/>
    public int[][] Tokens => _texts.Tokens;

    /// <summary>The reference to CLIP that the model will store.</summary>
    public BackboneReference Reference { get; private set; } = null!;

    /// <summary>The training images; null if nothing is trained and no training rows are set aside for validation.</summary>
    public FitImages? Images { get; private set; }

    /// <summary>The validation images; null if there is no validation.</summary>
    public PreparedImages? Validation { get; private set; }

    /// <summary>The checkpoints; null if the fit keeps none.</summary>
    public FitCheckpoints? Checkpoints { get; private set; }

    public DivergenceAnalysis Analysis { get; private set; } = null!;

    /// <summary>Reads everything that a fit needs, so that any error in it is reported before the first step.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="settings">Settings of the fit.</param>
    /// <param name="data">The training and validation rows.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="observer">May cancel.</param>
    /// <param name="log">Receives counts and advice.</param>
    /// <param name="searchesOnly">Whether the fit consists of the search alone.</param>
    /// <exception cref="InvalidOperationException">The data cannot be trained on.</exception>
    /// <exception cref="InvalidDataException">CLIP's weights contain infinite or NaN values.</exception>
    /// <exception cref="IOException">The workspace cannot be used.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public static PreparedFit Create(
        ClipBackbone backbone,
        FitSettings settings,
        FitData data,
        Device device,
        IRunObserver observer,
        HostLog log,
        bool searchesOnly
    )
    {
        var fit = new PreparedFit(backbone, settings, device, log);
        try
        {
            fit.Prepare(data, observer, searchesOnly);
            return fit;
        }
        catch
        {
            fit.Dispose();
            throw;
        }
    }

    private void Prepare(FitData data, IRunObserver observer, bool searchesOnly)
    {
        if (Settings.Workspace is { } workspace)
            Checkpoints = Owned(FitCheckpoints.Open(workspace, MostParameters(Backbone.Config, Settings), Log));
        var reader = new FitImageReader(data, Settings, Backbone.CreateImageProcessor(), Log, observer.ThrowIfCancelled);
        if (Backbone.PreprocessingNote is { } note)
            Log.Warning(note);
        var advice = new FitAdvice(Settings, Log);
        advice.CheckOptions();
        advice.CheckPrecision(Device.type == DeviceType.CPU, ProcessorFeatures.HasBFloat16Products);
        Classes = reader.ReadClasses();
        Settings.Initial?.Require(Classes);
        Settings = Settings.For(Classes.Count);
        // The weights are hashed first, so that a change on disk is noticed before training, not after it.
        Reference = BackboneReference.To(Backbone);
        _texts = Owned(FitTexts.Read(Backbone, Classes, Settings, Log.Warning, observer.ThrowIfCancelled));
        Settings.Initial?.Require(ContextLayout);
        int[][] texts = _texts.Tokens;

        // Loaded before the images, so that unusable weights are reported at once.
        TextWeights text = Owned(Backbone.RentTextTower(Device)).Value;
        ImageWeights image = Owned(Backbone.RentImageTower(Device)).Value;

        // Zero-shot CLIP does not train, so only validation images are needed.
        bool isZeroShot = Settings.Lengths is { } lengths && lengths.All(length => length == 0) && !Settings.LearnsBesidePrompts;
        if (!isZeroShot || reader.Splits)
            Images = Owned(reader.Read(Classes));
        if (Images is not null && !isZeroShot)
        {
            advice.CheckLengths(Settings, Images, searchesOnly);
            advice.CheckData(Images, Classes, reader);
        }
        Validation = Images is null ? reader.ReadValidation(Classes) : Images.Validation;
        Checkpoints?.Find(FitFingerprint.Create(Settings, Backbone, Classes, Images, Validation, Device, searchesOnly));

        StepBlocks? steps = Settings.Precision == ComputePrecision.BFloat16 ? Owned(new StepBlocks(text, image)) : null;
        ImageTower imageTower = Owned(new ImageTower(image, steps));
        ClassTexts classTexts = Owned(new ClassTexts(texts, text));
        ClipParts? parts = ClipParts.Create(text, image, texts, Settings.BatchSize, steps);
        if (parts is not null)
        {
            Owned(parts);
            // The workers use all cores; operations on this thread with several threads would have to wait for them, however short.
            Owned(NativeThreads.LimitCallingThread(1));
        }
        _texts.Tower = new TextTower(text);
        Clip = new PromptedClip(new TextTower(text, steps), imageTower, classTexts, parts)
        {
            PlainFeatures = _texts.HasOwnPlainTexts ? _texts.PlainFeatures : null,
        };
        _teachers = Owned(new FitTeachers(this, _texts, observer));
        Analysis = new DivergenceAnalysis(Settings, reader, Images?.TrainWeights, Images?.AllWeights, Validation?.Weights);
    }

    /// <summary>
    /// The prompts at the beginning of training: new ones, or those of the model that training continues from. The caller owns them.
    /// </summary>
    /// <param name="configuration">The prompt lengths.</param>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
    public PromptSet FreshPrompts(PromptConfiguration configuration, string purpose) =>
        Settings.Initial?.Prompts(Device, Settings.ResidualScale, Backbone.Config.EmbeddingWidth)
        ?? new PromptSet(Design.CreatePrompts(configuration, Shape, Initial, purpose), FreshContext(purpose), FreshResidual());

    /// <summary>The context at the beginning of a stage; null without a context. The caller owns it.</summary>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
    public InputContext? FreshContext(string purpose) => _texts.Fresh(Shape, Initial, purpose);

    /// <summary>The residual at the beginning of a stage; null without a residual. The caller owns it.</summary>
    public TaskResidual? FreshResidual() =>
        Settings.ResidualScale is double scale ? TaskResidual.Create(Classes.Count, Backbone.Config.EmbeddingWidth, scale, Device) : null;

    /// <summary>The teachers that a stage's objective needs; null if it needs none.</summary>
    /// <param name="objective">The objective of the stage; null: cross-entropy only.</param>
    public Teachers? TeachersOf(ObjectiveSettings? objective) => _teachers.For(objective);

    private PromptDistribution Initial => PromptDistribution.Normal(Settings.Training.InitialDeviation);

    /// <summary>Batches of the training images, reshuffled and augmented in every epoch.</summary>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
    /// <param name="withValidation">Whether to train on the validation rows, too.</param>
    public TrainFeed TrainingFeed(string purpose, bool withValidation = false)
    {
        FitImages images = Images!;
        ClipImageProcessor processor = Backbone.CreateImageProcessor();
        var batches = new TrainingBatches(
            images.Cache,
            images.Labels,
            withValidation ? [.. Enumerable.Range(0, images.Cache.Count)] : images.TrainRows,
            Settings.BatchSize,
            unchecked((int)Seeds.Derive(Settings.Seed, purpose)),
            processor,
            Settings.Augment ? new TrainingAugmentation(processor.ImageSize, Settings.SmallestCrop) : null,
            Device,
            withValidation ? images.AllWeights : images.TrainWeights
        );
        // On the CPU, preparing batches ahead on a second thread costs the steps more than it gains (100 against 40 ms a step, two cores).
        ReadAheadBatches? ahead = Device.type == DeviceType.CUDA ? new ReadAheadBatches(batches) : null;
        return new TrainFeed(ahead ?? (IBatchSource)batches, ahead);
    }

    /// <summary>
    /// Allows matrix products on a GPU to round to TF32 until the result is disposed; null if the settings do not ask for it.
    /// </summary>
    public IDisposable? AllowRounding() =>
        Settings.Precision == ComputePrecision.TensorFloat32 && Device.type == DeviceType.CUDA ? TensorFloat32.Allow() : null;

    /// <summary>Logs that a stage resumes from a checkpoint, if it does.</summary>
    public void LogResumption(IStageCheckpoints? checkpoints, FitStage stage, int epochs, int step, string? ended)
    {
        if (checkpoints?.Saved is null)
            return;
        Log.Info(
            ended is null
                ? $"An interrupted fit continues: {stage.ToString().ToLowerInvariant()} epoch {epochs + 1}, step {step + 1}."
                : "The workspace holds a completed fit of the same data and options: its model is used."
        );
    }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _owned.Clear();
    }

    private T Owned<T>(T disposable)
        where T : IDisposable
    {
        _owned.Add(disposable);
        return disposable;
    }

    /// <summary>The number of parameters of the stage that has the most.</summary>
    private static long MostParameters(ClipConfig config, FitSettings settings)
    {
        long rows = settings.Search?.Candidates.Sum() ?? 0;
        long Numbers(ClipTransformerConfig branch, IReadOnlyList<int>? lengths) =>
            lengths is null ? branch.Layers * rows * branch.Width : lengths.Sum(length => (long)length) * branch.Width;
        long beside = settings.Design?.Prompts.ParametersBeside(config) ?? 0;
        return Numbers(config.Text, settings.TextLengths) + Numbers(config.Image, settings.ImageLengths) + beside;
    }
}
