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

/// <summary>Batches to train on, and what they own.</summary>
internal sealed record TrainFeed(IBatchSource Source, IDisposable? Owned) : IDisposable
{
    public void Dispose() => Owned?.Dispose();
}

/// <summary>What the stages of a fit run on: images and texts that were read, CLIP in memory, checkpoints. Owns them.</summary>
internal sealed class PreparedFit : IDisposable
{
    // Disposed in the reverse order.
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

    /// <summary>How the prompts of the layers are made.</summary>
    public IPromptDesign Design => Settings.Design?.Prompts ?? new IndependentPrompts();

    /// <summary>What prompts are made for.</summary>
    public PromptShape Shape => new(Backbone.Config, Device, Settings.Seed);

    /// <summary>The context in the texts, with its length; null without one.</summary>
    public PromptContext? Context => _texts.Context;

    /// <summary>Where it stands; null without one.</summary>
    public ContextLayout? ContextLayout => _texts.Layout;

    /// <summary>How the model will name its CLIP.</summary>
    public BackboneReference Reference { get; private set; } = null!;

    /// <summary>Null where nothing is trained and no training image is set aside.</summary>
    public FitImages? Images { get; private set; }

    /// <summary>Null where nothing is validated.</summary>
    public PreparedImages? Validation { get; private set; }

    /// <summary>Null where the fit keeps no state.</summary>
    public FitCheckpoints? Checkpoints { get; private set; }

    public DivergenceAnalysis Analysis { get; private set; } = null!;

    /// <summary>Reads everything that a fit needs, so that whatever is wrong with it is known before the first step.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="settings">Of the fit.</param>
    /// <param name="data">The rows.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="observer">May cancel it.</param>
    /// <param name="log">Receives counts and advice.</param>
    /// <param name="searchesOnly">Whether nothing is trained.</param>
    /// <exception cref="InvalidOperationException">The data cannot be learnt from.</exception>
    /// <exception cref="InvalidDataException">CLIP's weights are not all numbers.</exception>
    /// <exception cref="IOException">The workspace cannot be used.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled it.</exception>
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
        advice.CheckOptions(searchesOnly);
        advice.CheckPrecision(Device.type == DeviceType.CPU, ProcessorFeatures.HasBFloat16Products);
        Classes = reader.ReadClasses();
        Settings.Initial?.Require(Classes);
        Settings = Settings.For(Classes.Count);
        // Hashed first: weights that changed on disk are known before the training, not after it.
        Reference = BackboneReference.To(Backbone);
        _texts = Owned(FitTexts.Read(Backbone, Classes, Settings, Log.Warning, observer.ThrowIfCancelled));
        Settings.Initial?.Require(ContextLayout);
        int[][] texts = _texts.Tokens;

        // Read before the images: weights that cannot be used are known at once.
        TextWeights text = Owned(Backbone.RentTextTower(Device)).Value;
        ImageWeights image = Owned(Backbone.RentImageTower(Device)).Value;

        // Zero-shot CLIP learns nothing from the training images: only validation images are looked at.
        bool isZeroShot = Settings.Lengths is { } lengths && lengths.All(length => length == 0) && !Settings.LearnsBesidePrompts;
        if (!isZeroShot || reader.Splits)
            Images = Owned(reader.Read(Classes));
        if (Images is not null && !isZeroShot)
            advice.CheckData(Images, Classes, reader);
        Validation = Images is null ? reader.ReadValidation(Classes) : Images.Validation;
        Checkpoints?.Find(FitFingerprint.Create(Settings, Backbone, Classes, Images, Validation, Device, searchesOnly));

        StepBlocks? steps = Settings.Precision == ComputePrecision.BFloat16 ? Owned(new StepBlocks(text, image)) : null;
        ImageTower imageTower = Owned(new ImageTower(image, steps));
        ClassTexts classTexts = Owned(new ClassTexts(texts, text));
        ClipParts? parts = ClipParts.Create(text, image, texts, Settings.BatchSize, steps);
        if (parts is not null)
        {
            Owned(parts);
            // The workers have all cores: operations on this thread that wanted them too would wait for them, however short.
            Owned(NativeThreads.LimitCallingThread(1));
        }
        _texts.Tower = new TextTower(text);
        Clip = new PromptedClip(new TextTower(text, steps), imageTower, classTexts, parts)
        {
            PlainFeatures = _texts.HasOwnPlainTexts ? _texts.PlainFeatures : null,
        };
        _teachers = Owned(new FitTeachers(this, _texts, observer));
        Analysis = new DivergenceAnalysis(Settings, reader, Images?.TrainWeights, Validation?.Weights);
    }

    /// <summary>Prompts as training begins with them: fresh ones, unless it goes on from a model. The caller owns them.</summary>
    /// <param name="configuration">Their lengths.</param>
    /// <param name="purpose">Names the random numbers.</param>
    public PromptSet FreshPrompts(PromptConfiguration configuration, string purpose) =>
        Settings.Initial?.Prompts(Device, Settings.ResidualScale, Backbone.Config.EmbeddingWidth)
        ?? new PromptSet(Design.CreatePrompts(configuration, Shape, Initial, purpose), FreshContext(purpose), FreshResidual());

    /// <summary>A context as a stage begins with it; null without one. The caller owns it.</summary>
    /// <param name="purpose">Names the random numbers.</param>
    public InputContext? FreshContext(string purpose) => _texts.Fresh(Shape, Initial, purpose);

    /// <summary>A residual as a stage begins with it; null without one. The caller owns it.</summary>
    public TaskResidual? FreshResidual() =>
        Settings.ResidualScale is double scale ? TaskResidual.Create(Classes.Count, Backbone.Config.EmbeddingWidth, scale, Device) : null;

    /// <summary>Who a stage's regularisers compare to; null where it has none.</summary>
    /// <param name="objective">What the stage does beside its cross-entropy; null: nothing.</param>
    public Teachers? TeachersOf(ObjectiveSettings? objective) => _teachers.For(objective);

    private PromptDistribution Initial => PromptDistribution.Normal(Settings.Training.InitialDeviation);

    /// <summary>Batches of the training images, reshuffled and augmented in every epoch.</summary>
    /// <param name="purpose">Names the random numbers.</param>
    /// <param name="withValidation">Whether the validation rows are trained on, too.</param>
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
        // On the CPU a second computing thread takes more from the step than a batch made ahead gives (100 against 40 ms a step, two
        // cores).
        ReadAheadBatches? ahead = Device.type == DeviceType.CUDA ? new ReadAheadBatches(batches) : null;
        return new TrainFeed(ahead ?? (IBatchSource)batches, ahead);
    }

    /// <summary>What a GPU's products may round to while a stage runs; null: nothing is switched.</summary>
    public IDisposable? AllowRounding() =>
        Settings.Precision == ComputePrecision.TensorFloat32 && Device.type == DeviceType.CUDA ? TensorFloat32.Allow() : null;

    /// <summary>Says that a stage continues from a checkpoint, where it does.</summary>
    public void LogResumption(IStageCheckpoints? checkpoints, FitStage stage, int epochs, int step, string? ended)
    {
        if (checkpoints?.Saved is null)
            return;
        Log.Info(
            ended is null
                ? $"An interrupted fit goes on: {stage.ToString().ToLowerInvariant()} epoch {epochs + 1}, step {step + 1}."
                : "A fit of the same data and options is in the workspace: its model is taken from there."
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

    /// <summary>Numbers that the larger stage learns.</summary>
    private static long MostParameters(ClipConfig config, FitSettings settings)
    {
        long rows = settings.Search?.Candidates.Sum() ?? 0;
        long Numbers(ClipTransformerConfig branch, IReadOnlyList<int>? lengths) =>
            lengths is null ? branch.Layers * rows * branch.Width : lengths.Sum(length => (long)length) * branch.Width;
        long beside = settings.Design?.Prompts.ParametersBeside(config) ?? 0;
        return Numbers(config.Text, settings.TextLengths) + Numbers(config.Image, settings.ImageLengths) + beside;
    }
}
