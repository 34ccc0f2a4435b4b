using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What a fit found. The caller owns the prompts.</summary>
internal sealed record FitResult(LabelClasses Classes, ModelDescription Description, TrainedPrompts Prompts);

/// <summary>One fit: pictures in, search unless the lengths are given, training, prompts out.</summary>
internal sealed class FitRun(ClipBackbone backbone, FitSettings settings, Device device, IRunObserver observer, HostLog log)
{
    /// <exception cref="InvalidOperationException">The data cannot be learnt from, or the loss ceased to be a number.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run, and the settings do not ask for the best so far or there is none.</exception>
    public FitResult Run(FitData data) => Prepare(data, searchesOnly: false, Fit);

    /// <summary>The search alone. The settings have one.</summary>
    /// <returns>What it found, and whether it was cut short.</returns>
    /// <inheritdoc cref="Run" path="/exception"/>
    public (SearchResult Result, bool WasCancelled) Search(FitData data) => Prepare(data, searchesOnly: true, (ready, checkpoints) =>
    {
        using Searched searched = Search(ready.Clip, settings.Search!, ready.Pictures!, checkpoints?.ForSearch());
        if (!searched.WasCancelled) checkpoints?.Finish();
        return (searched.Result, searched.WasCancelled);
    });

    /// <summary>Reads pictures, texts and CLIP, and hands them to what runs on them.</summary>
    private T Prepare<T>(FitData data, bool searchesOnly, Func<Ready, FitCheckpoints?, T> run)
    {
        using FitCheckpoints? checkpoints = settings.Workspace is { } workspace ? FitCheckpoints.Open(workspace, MostParameters(), log) : null;
        var reader = new FitPictureReader(data, settings, backbone.CreateImageProcessor(), log, observer.ThrowIfCancelled);
        LabelClasses classes = reader.ReadClasses();
        // Hashed first: weights that changed on disk are known before the training, not after it.
        var reference = new BackboneReference(backbone.Name, backbone.Sha256, backbone.Location, backbone.Files is { IsOpenAILayout: true } files ? files.VocabularyPath : null);
        int[][] texts = ClassTokens.Of(classes, settings.Template, backbone, log.Warning);

        // Zero-shot CLIP learns nothing from the training pictures: only validation pictures are looked at.
        bool isZeroShot = settings.Search is null && settings.TextLengths!.Concat(settings.ImageLengths!).All(length => length == 0);
        using FitPictures? pictures = isZeroShot && !reader.Splits ? null : reader.Read(classes);
        PreparedImages? validation = pictures is null ? reader.ReadValidation(classes) : pictures.Validation;
        checkpoints?.Find(FitFingerprint.Of(settings, backbone, classes, pictures, validation, device, searchesOnly));

        using Lease<VisionWeights> vision = backbone.RentVision(device);
        using Lease<TextWeights> text = backbone.RentText(device);
        using var imageTower = new ImageTower(vision.Value);
        using var classTexts = new ClassTexts(texts, text.Value);
        using ClipParts? parts = ClipParts.Create(vision.Value, text.Value, texts, settings.BatchSize);
        // The workers have all cores: operations on this thread that wanted them too would wait for them, however short.
        using IDisposable? limit = parts is null ? null : NativeThreads.LimitCallingThread(1);
        var clip = new PromptedClip(imageTower, new TextTower(text.Value), classTexts, parts);
        return run(new Ready(clip, classes, reference, pictures, validation), checkpoints);
    }

    private FitResult Fit(Ready ready, FitCheckpoints? checkpoints)
    {
        PromptedClip clip = ready.Clip;
        using Searched? searched = settings.Search is { } search ? checkpoints?.FoundSearch(device) ?? Search(clip, search, ready.Pictures!, checkpoints?.ForSearch()) : null;
        using Trained trained = searched is { WasCancelled: true } ? searched.AsTrained() : Train(clip, searched, ready.Pictures, ready.Validation, checkpoints?.ForTraining(searched));
        // A cancelled fit can be gone on with.
        if (!trained.WasCancelled) checkpoints?.Finish();

        // All in one piece, as WithClasses makes them, so that the same names give the same bits there.
        using Tensor classFeatures = clip.Text.UnitFeatures(clip.Texts, trained.Text);
        var prompts = new TrainedPrompts([.. trained.Image.Rows.Select(Kept)], [.. trained.Text.Rows.Select(Kept)], Kept(classFeatures)!, clip.Text.Weights.LogitScale);
        var description = new ModelDescription(
            ready.Reference, settings.Template, trained.Text.Lengths, trained.Image.Lengths, trained.ValidationAccuracy, searched?.Result, WasCancelled: trained.WasCancelled);
        return new FitResult(ready.Classes, description, prompts);
    }

    private Searched Search(PromptedClip clip, SearchSettings search, FitPictures pictures, IStageCheckpoints? checkpoints)
    {
        using Generator imageGenerator = Seeds.Generator(settings.Seed, "search image"), textGenerator = Seeds.Generator(settings.Seed, "search text");
        ClipConfig config = backbone.Config;
        using var supernet = new Supernet(
            SupernetBranch.Create(search.Candidates, config.Vision.Layers, config.Vision.Width, PromptDistribution.Normal(1), imageGenerator, device),
            SupernetBranch.Create(search.Candidates, config.Text.Layers, config.Text.Width, PromptDistribution.Uniform, textGenerator, device));
        using TrainFeed train = Feed(pictures, "search batches");
        IBatchSource validation = pictures.Validation!.Shuffled(settings.BatchSize, settings.Seed, device);
        SearchCourse course = checkpoints?.Saved is { } saved ? SearchCourse.FromJson(saved.Course) : new SearchCourse();
        LogResumption(checkpoints, RunStage.Search, course.Epochs.Count, course.Step);
        bool cancelled = false;
        try
        {
            new BilevelSearch(clip, search, observer).Run(supernet, train.Source, validation, course, checkpoints);
            log.Info($"Search: {course.ReasonToEnd(search)}.");
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && course.Epochs.Count > 0)
        {
            cancelled = true;
            log.Warning($"Cancelled in the search: the choice after {course.Epochs.Count} of {search.Epochs} epochs is returned, with the prompts that the search has for it.");
        }
        var result = new SearchResult(search.Candidates, course.Epochs);
        log.Info($"Search: text {string.Join(' ', result.TextLengths)} | image {string.Join(' ', result.ImageLengths)}.");
        return new Searched(result, supernet.Image.Choose(result.ImageLengths), supernet.Text.Choose(result.TextLengths), cancelled);
    }

    private Trained Train(PromptedClip clip, Searched? searched, FitPictures? pictures, PreparedImages? validation, IStageCheckpoints? checkpoints)
    {
        IReadOnlyList<int> imageLengths = searched?.Result.ImageLengths ?? settings.ImageLengths!, textLengths = searched?.Result.TextLengths ?? settings.TextLengths!;
        using Generator imageGenerator = Seeds.Generator(settings.Seed, "training image"), textGenerator = Seeds.Generator(settings.Seed, "training text");
        PromptDistribution initial = PromptDistribution.Normal(settings.Training.InitialDeviation);
        var branches = new Trained(
            FixedBranch.Create(imageLengths, backbone.Config.Vision.Width, initial, imageGenerator, device),
            FixedBranch.Create(textLengths, backbone.Config.Text.Width, initial, textGenerator, device));
        TrainingCourse course = checkpoints?.Saved is { } saved ? TrainingCourse.FromJson(saved.Course) : new TrainingCourse();
        LogResumption(checkpoints, RunStage.Training, course.Epochs.Count, course.Step);
        try
        {
            Trained trained = Train(clip, branches, pictures, validation?.InOrder(settings.PredictionBatchSize, device), course, checkpoints);
            if (trained.ValidationAccuracy is double accuracy) log.Info(FormattableString.Invariant($"Training: validation accuracy {accuracy:p1}."));
            return trained;
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && course.Epochs.Count > 0)
        {
            log.Warning($"Cancelled in training: the best prompts of {course.Epochs.Count} of {settings.Training.Epochs} epochs are returned.");
            return branches with { ValidationAccuracy = course.BestAccuracy(), WasCancelled = true };
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && searched is not null)
        {
            branches.Dispose();
            log.Warning("Cancelled before the first epoch of training ended: the prompts that the search has for its choice are returned.");
            return searched.AsTrained();
        }
        catch
        {
            branches.Dispose();
            throw;
        }
    }

    private Trained Train(PromptedClip clip, Trained branches, FitPictures? pictures, IBatchSource? validation, TrainingCourse course, IStageCheckpoints? checkpoints)
    {
        if (branches.IsEmpty) return branches with { ValidationAccuracy = validation is null ? null : Evaluation.Of(clip, branches.Image, branches.Text, validation, observer).Accuracy };
        using TrainFeed train = Feed(pictures!, "training batches");
        new PromptTraining(clip, settings.Training, observer).Run(branches.Image, branches.Text, train.Source, validation, course, checkpoints);
        log.Info($"Training: {course.ReasonToEnd(settings.Training)}.");
        return branches with { ValidationAccuracy = course.BestAccuracy() };
    }

    private void LogResumption(IStageCheckpoints? checkpoints, RunStage stage, int epochs, int step)
    {
        if (checkpoints?.Saved is not null) log.Info($"An interrupted fit goes on: {stage.ToString().ToLowerInvariant()} epoch {epochs + 1}, step {step + 1}.");
    }

    /// <summary>Numbers that the larger stage learns.</summary>
    private long MostParameters()
    {
        long rows = settings.Search?.Candidates.Sum() ?? 0;
        long Of(ClipTransformerConfig branch, IReadOnlyList<int>? lengths) => lengths is null ? branch.Layers * rows * branch.Width : lengths.Sum(length => (long)length) * branch.Width;
        return Of(backbone.Config.Text, settings.TextLengths) + Of(backbone.Config.Vision, settings.ImageLengths);
    }

    private TrainFeed Feed(FitPictures pictures, string purpose)
    {
        ClipImageProcessor processor = backbone.CreateImageProcessor();
        var batches = new TrainingBatches(
            pictures.Train, pictures.TrainLabels, [.. Enumerable.Range(0, pictures.Train.Count)], settings.BatchSize,
            unchecked((int)Seeds.Derive(settings.Seed, purpose)), processor, settings.Augment ? new TrainingAugmentation(processor.ImageSize) : null, device, pictures.TrainWeights);
        // On the CPU a second computing thread takes more from the step than a batch made ahead gives (100 against 40 ms a step, two cores).
        ReadAheadBatches? ahead = device.type == DeviceType.CUDA ? new ReadAheadBatches(batches) : null;
        return new TrainFeed(ahead ?? (IBatchSource)batches, ahead);
    }

    /// <summary>A copy on the CPU that no dispose scope owns.</summary>
    private static Tensor? Kept(Tensor? values)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return values?.detach().cpu().clone().DetachFromDisposeScope();
    }

    /// <summary>What both kinds of run begin with. Owns nothing.</summary>
    private sealed record Ready(PromptedClip Clip, LabelClasses Classes, BackboneReference Reference, FitPictures? Pictures, PreparedImages? Validation);

    private sealed record TrainFeed(IBatchSource Source, IDisposable? Owned) : IDisposable
    {
        public void Dispose() => Owned?.Dispose();
    }
}
