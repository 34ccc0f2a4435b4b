using System.Globalization;
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

/// <summary>What a fit found. Owns the prompts until <see cref="TakePrompts"/>.</summary>
/// <param name="Classes">In the order of the scores.</param>
/// <param name="Description">What a zip says of the model.</param>
/// <param name="Prompts">What was learnt.</param>
/// <param name="Vision">Holds the image branch in memory until the model has a share of its own, so that a CLIP that is gone by now costs
/// nothing.</param>
internal sealed record FitResult(LabelClasses Classes, ModelDescription Description, TrainedPrompts Prompts, Lease<VisionWeights> Vision)
    : IDisposable
{
    private bool _taken;

    /// <summary>Makes something that owns the prompts from then on.</summary>
    public T TakePrompts<T>(Func<TrainedPrompts, T> make)
    {
        T made = make(Prompts);
        _taken = true;
        return made;
    }

    public void Dispose()
    {
        Vision.Dispose();
        if (!_taken)
            Prompts.Dispose();
    }
}

/// <summary>One fit: images in, search unless the lengths are given, training, prompts out.</summary>
internal sealed class FitRun(ClipBackbone backbone, FitSettings settings, Device device, IRunObserver observer, HostLog log)
{
    private readonly LossWatch _watch = new(observer, settings, log);

    /// <exception cref="InvalidOperationException">The data cannot be learnt from.</exception>
    /// <exception cref="InvalidDataException">CLIP's weights are not all numbers.</exception>
    /// <exception cref="FitDivergedException">A loss or a gradient ceased to be a number, and the settings do not ask for the best so far
    /// or there is none.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run, and the settings do not ask for the best so far or there is
    /// none.</exception>
    public FitResult Run(FitData data) => Prepare(data, searchesOnly: false, Fit);

    /// <summary>The search alone. The settings have one.</summary>
    /// <returns>What it found, and whether it was cut short.</returns>
    /// <inheritdoc cref="Run" path="/exception"/>
    public (DplSearchReport Report, StageEnd End) Search(FitData data) => Prepare(data, searchesOnly: true, (ready, checkpoints) =>
        {
            using Searched searched = Search(ready, settings.Search!, checkpoints?.ForSearch());
            // A cancelled search can be gone on with; one that diverged would only diverge again.
            if (searched.End != StageEnd.Cancelled)
                checkpoints?.Finish();
            return (searched.Report, searched.End);
        });

    /// <summary>Reads images, texts and CLIP, and hands them to what runs on them.</summary>
    private T Prepare<T>(FitData data, bool searchesOnly, Func<Ready, FitCheckpoints?, T> run)
    {
        using FitCheckpoints? checkpoints = settings.Workspace is { } workspace
            ? FitCheckpoints.Open(workspace, MostParameters(), log)
            : null;
        var reader = new FitImageReader(data, settings, backbone.CreateImageProcessor(), log, observer.ThrowIfCancelled);
        var advice = new FitAdvice(settings, log);
        advice.OfOptions(searchesOnly);
        advice.OfPrecision(device.type == DeviceType.CPU, ProcessorFeatures.HasBFloat16Products);
        LabelClasses classes = reader.ReadClasses();
        // Hashed first: weights that changed on disk are known before the training, not after it.
        var reference = BackboneReference.To(backbone);
        int[][] texts = ClassTokens.Of(classes, settings.Template, backbone, log.Warning);

        // Read before the images: weights that cannot be used are known at once.
        using Lease<VisionWeights> vision = backbone.RentVision(device);
        using Lease<TextWeights> text = backbone.RentText(device);

        // Zero-shot CLIP learns nothing from the training images: only validation images are looked at.
        bool isZeroShot = settings.Lengths is { } lengths && lengths.All(length => length == 0);
        using FitImages? images = isZeroShot && !reader.Splits ? null : reader.Read(classes);
        if (images is not null && !isZeroShot)
            advice.OfData(images, classes, reader);
        PreparedImages? validation = images is null ? reader.ReadValidation(classes) : images.Validation;
        checkpoints?.Find(FitFingerprint.Of(settings, backbone, classes, images, validation, device, searchesOnly));

        using StepBlocks? steps = settings.Precision == MatmulPrecision.BFloat16 ? new StepBlocks(text.Value, vision.Value) : null;
        using var imageTower = new ImageTower(vision.Value, steps);
        using var classTexts = new ClassTexts(texts, text.Value);
        using ClipParts? parts = ClipParts.Create(text.Value, vision.Value, texts, settings.BatchSize, steps);
        // The workers have all cores: operations on this thread that wanted them too would wait for them, however short.
        using IDisposable? limit = parts is null ? null : NativeThreads.LimitCallingThread(1);
        var clip = new PromptedClip(new TextTower(text.Value, steps), imageTower, classTexts, parts);
        var analysis = new DivergenceAnalysis(settings, reader, images?.TrainWeights, validation?.Weights);
        try
        {
            return run(new Ready(clip, classes, reference, images, validation, analysis), checkpoints);
        }
        catch (DivergedException e)
        {
            throw new FitDivergedException(analysis.Of(e, returns: false), e);
        }
    }

    private FitResult Fit(Ready ready, FitCheckpoints? checkpoints)
    {
        PromptedClip clip = ready.Clip;
        using Searched? searched = settings.Search is { } search
            ? checkpoints?.FoundSearch(device) ?? Search(ready, search, checkpoints?.ForSearch())
            : null;
        using Trained trained = searched is { End: not StageEnd.Whole }
            ? searched.AsTrained(searched.End)
            : Train(ready, searched, checkpoints?.ForTraining(searched));

        // All in one piece, as WithClasses makes them, so that the same names give the same bits there.
        using Tensor classFeatures = clip.Text.UnitFeatures(clip.Texts, trained.Prompts.Text);
        var prompts = new TrainedPrompts(
            [.. trained.Prompts.Image.Rows.Select(Kept)],
            [.. trained.Prompts.Text.Rows.Select(Kept)],
            Kept(classFeatures)!,
            clip.Text.Weights.LogitScale
        );
        var description = new ModelDescription(
            ready.Reference,
            settings.Template,
            trained.Prompts.Text.Lengths,
            trained.Prompts.Image.Lengths,
            trained.ValidationAccuracy,
            searched?.Report,
            WasCancelled: trained.End == StageEnd.Cancelled,
            HasDiverged: trained.End == StageEnd.Diverged
        );
        Lease<VisionWeights> vision = backbone.RentVision(device);
        // A cancelled fit can be gone on with; one that diverged would only diverge again.
        if (trained.End != StageEnd.Cancelled)
            checkpoints?.Finish();
        return new FitResult(ready.Classes, description, prompts, vision);
    }

    private Searched Search(Ready ready, SearchSettings search, IStageCheckpoints? checkpoints)
    {
        (PromptedClip clip, FitImages images) = (ready.Clip, ready.Images!);
        using Generator textGenerator = Seeds.Generator(settings.Seed, "search text"),
            imageGenerator = Seeds.Generator(settings.Seed, "search image");
        ClipConfig config = backbone.Config;
        SupernetBranch Fresh(ClipTransformerConfig branch, PromptDistribution prompts, Generator generator) =>
            SupernetBranch.Create(search.Candidates, branch.Layers, branch.Width, prompts, generator, device);
        using var supernet = new Supernet(
            new BranchPair<SupernetBranch>(
                Text: Fresh(config.Text, PromptDistribution.Uniform, textGenerator),
                Image: Fresh(config.Vision, PromptDistribution.Normal(1), imageGenerator)
            )
        );
        using TrainFeed train = Feed(images, "search batches");
        IBatchSource validation = images.Validation!.Shuffled(settings.BatchSize, settings.Seed, device);
        using IDisposable? rounding = AllowRounding();
        SearchState state = checkpoints?.Saved is { } saved ? SearchState.FromJson(saved.State) : new SearchState();
        LogResumption(checkpoints, DplStage.Search, state.Epochs.Count, state.Step, state.ReasonToEnd(search));
        StageEnd end = StageEnd.Whole;
        int epochs;
        try
        {
            new BilevelSearch(clip, search, _watch).Run(supernet, train.Source, validation, state, checkpoints);
            log.Info($"Search: {state.ReasonToEnd(search)}.");
            epochs = state.Epochs.Count;
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && state.Epochs.Count > 0)
        {
            (end, epochs) = (StageEnd.Cancelled, state.Epochs.Count);
            log.Warning(
                $"Cancelled in the search: the choice after {epochs} of {search.Epochs} epochs is returned, with the prompts that the "
                    + "search has for it."
            );
        }
        catch (DivergedException e) when (settings.ReturnBestWhenDiverged && e.HasGoodValues)
        {
            (end, epochs) = (StageEnd.Diverged, state.GoodEpochs);
            log.Warning(
                $"{ready.Analysis.Of(e, returns: true).Message} The choice after {epochs} of {search.Epochs} epochs is returned, with "
                    + "the prompts that the search had for it."
            );
        }
        var report = new DplSearchReport(search.Candidates, [.. state.Epochs.Take(epochs)]);
        PromptConfiguration choice = report.Configuration;
        log.Info($"Search: {choice}.");
        var prompts = new BranchPair<FixedBranch>(
            Text: supernet.Branches.Text.Choose(choice.Text),
            Image: supernet.Branches.Image.Choose(choice.Image)
        );
        return new Searched(report, prompts, end);
    }

    private Trained Train(Ready ready, Searched? searched, IStageCheckpoints? checkpoints)
    {
        IReadOnlyList<int> textLengths = searched?.Report.Configuration.Text ?? settings.TextLengths!,
            imageLengths = searched?.Report.Configuration.Image ?? settings.ImageLengths!;
        using Generator textGenerator = Seeds.Generator(settings.Seed, "training text"),
            imageGenerator = Seeds.Generator(settings.Seed, "training image");
        PromptDistribution initial = PromptDistribution.Normal(settings.Training.InitialDeviation);
        var branches = new Trained(
            new BranchPair<FixedBranch>(
                Text: FixedBranch.Create(textLengths, backbone.Config.Text.Width, initial, textGenerator, device),
                Image: FixedBranch.Create(imageLengths, backbone.Config.Vision.Width, initial, imageGenerator, device)
            )
        );
        using IDisposable? rounding = AllowRounding();
        TrainingState state = checkpoints?.Saved is { } saved ? TrainingState.FromJson(saved.State) : new TrainingState();
        LogResumption(checkpoints, DplStage.Training, state.Epochs.Count, state.Step, state.ReasonToEnd(settings.Training));
        try
        {
            Trained trained = Train(ready, branches, state, checkpoints);
            if (trained.ValidationAccuracy is double accuracy)
                log.Info(FormattableString.Invariant($"Training: validation accuracy {accuracy:p1}."));
            return trained;
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && state.Epochs.Count > 0)
        {
            log.Warning(
                $"Cancelled in training: the best prompts of {state.Epochs.Count} of {settings.Training.Epochs} epochs are returned."
            );
            return branches with { ValidationAccuracy = state.BestAccuracy(), End = StageEnd.Cancelled };
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && searched is not null)
        {
            branches.Dispose();
            log.Warning("Cancelled before the first epoch of training ended: the prompts that the search has for its choice are returned.");
            return searched.AsTrained(StageEnd.Cancelled);
        }
        catch (DivergedException e) when (settings.ReturnBestWhenDiverged && e.HasGoodValues)
        {
            string which = ready.Validation is null ? $"The prompts after {state.GoodEpochs}" : $"The best prompts of {state.Epochs.Count}";
            log.Warning($"{ready.Analysis.Of(e, returns: true).Message} {which} of {settings.Training.Epochs} epochs are returned.");
            return branches with { ValidationAccuracy = state.BestAccuracy(), End = StageEnd.Diverged };
        }
        catch (DivergedException e) when (settings.ReturnBestWhenDiverged && searched is not null)
        {
            branches.Dispose();
            log.Warning($"{ready.Analysis.Of(e, returns: true).Message} The prompts that the search has for its choice are returned.");
            return searched.AsTrained(StageEnd.Diverged);
        }
        catch
        {
            branches.Dispose();
            throw;
        }
    }

    private Trained Train(Ready ready, Trained branches, TrainingState state, IStageCheckpoints? checkpoints)
    {
        PromptedClip clip = ready.Clip;
        IBatchSource? validation = ready.Validation?.InOrder(settings.PredictionBatchSize, device);
        if (branches.IsEmpty)
        {
            log.Info("Training: no layer has a prompt, so there is nothing to train; the model is zero-shot CLIP.");
            Evaluation? evaluation = validation is null ? null : Evaluation.Compute(clip, branches.Prompts, validation, observer);
            evaluation?.RequireFinite(epoch: 0, step: 0);
            return branches with { ValidationAccuracy = evaluation?.Accuracy };
        }
        using TrainFeed train = Feed(ready.Images!, "training batches");
        new PromptTraining(clip, settings.Training, _watch).Run(branches.Prompts, train.Source, validation, state, checkpoints);
        log.Info($"Training: {state.ReasonToEnd(settings.Training)}.");
        if (state.EpochsOfLowestLoss(ready.Classes.Count) is int after)
            log.Warning(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Training ended with a mean loss of {state.Epochs[^1].TrainLoss:g3}, after {state.Epochs[0].TrainLoss:g3} in "
                        + $"its first epoch. Instead of the last prompts those after {after} epochs are returned, with which the loss "
                        + $"was lowest ({state.LowestLoss(ready.Classes.Count):g3}). With validation rows "
                        + $"(ValidationRowsPerClass, ValidationSet) the most accurate epoch would be."
                )
            );
        return branches with { ValidationAccuracy = state.BestAccuracy() };
    }

    /// <summary>What a GPU's products may round to while a stage runs; null: nothing is switched.</summary>
    private IDisposable? AllowRounding() =>
        settings.Precision == MatmulPrecision.TensorFloat32 && device.type == DeviceType.CUDA ? TensorFloat32.Allow() : null;

    private void LogResumption(IStageCheckpoints? checkpoints, DplStage stage, int epochs, int step, string? ended)
    {
        if (checkpoints?.Saved is null)
            return;
        log.Info(
            ended is null
                ? $"An interrupted fit goes on: {stage.ToString().ToLowerInvariant()} epoch {epochs + 1}, step {step + 1}."
                : "A fit of the same data and options is in the workspace: its model is taken from there."
        );
    }

    /// <summary>Numbers that the larger stage learns.</summary>
    private long MostParameters()
    {
        long rows = settings.Search?.Candidates.Sum() ?? 0;
        long Of(ClipTransformerConfig branch, IReadOnlyList<int>? lengths) =>
            lengths is null ? branch.Layers * rows * branch.Width : lengths.Sum(length => (long)length) * branch.Width;
        return Of(backbone.Config.Text, settings.TextLengths) + Of(backbone.Config.Vision, settings.ImageLengths);
    }

    private TrainFeed Feed(FitImages images, string purpose)
    {
        ClipImageProcessor processor = backbone.CreateImageProcessor();
        var batches = new TrainingBatches(
            images.Train,
            images.TrainLabels,
            [.. Enumerable.Range(0, images.Train.Count)],
            settings.BatchSize,
            unchecked((int)Seeds.Derive(settings.Seed, purpose)),
            processor,
            settings.Augment ? new TrainingAugmentation(processor.ImageSize) : null,
            device,
            images.TrainWeights
        );
        // On the CPU a second computing thread takes more from the step than a batch made ahead gives (100 against 40 ms a step, two
        // cores).
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

    /// <summary>What the stages run on. Owns nothing.</summary>
    private sealed record Ready(
        PromptedClip Clip,
        LabelClasses Classes,
        BackboneReference Reference,
        FitImages? Images,
        PreparedImages? Validation,
        DivergenceAnalysis Analysis
    );

    private sealed record TrainFeed(IBatchSource Source, IDisposable? Owned) : IDisposable
    {
        public void Dispose() => Owned?.Dispose();
    }
}
