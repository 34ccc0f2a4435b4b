using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The first stage of a fit: the bilevel search of the prompt lengths.</summary>
/// <param name="fit">The prepared data, CLIP and settings.</param>
/// <param name="watch">Notified after every step; may cancel.</param>
internal sealed class SearchStage(PreparedFit fit, IRunObserver watch)
{
    /// <summary>Runs the search, from a checkpoint if there is one.</summary>
    /// <returns>The result; owned by the caller.</returns>
    /// <exception cref="NonFiniteValueException">A loss or a gradient became infinite or NaN, and the settings do not ask for the best
    /// result so far or there is none.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run, and the settings do not ask for the best result so far
    /// or there is none.</exception>
    public SearchStageResult Run(SearchSettings given, IStageCheckpoints? checkpoints)
    {
        (PromptedClip clip, FitImages images) = (fit.Clip, fit.Images!);
        (FitSettings settings, Device device, HostLog log) = (fit.Settings, fit.Device, fit.Log);
        using TrainFeed train = fit.TrainingFeed("search batches");
        SearchSettings search = given.Over(train.Source.BatchesPerEpoch);
        bool isRobust = search.Recipe == TrainingRecipe.Robust;
        PromptDistribution initial = PromptDistribution.Normal(settings.Training.InitialDeviation);
        using var supernet = new Supernet(
            fit.Design.CreateSupernet(
                search.Candidates,
                fit.Shape,
                isRobust ? new(initial, initial) : new(Text: PromptDistribution.Uniform, Image: PromptDistribution.Normal(1)),
                search.SinglePath,
                "search"
            ),
            isRobust ? new Temperature(1, device) : null,
            fit.FreshContext("search"),
            fit.FreshResidual()
        );
        IBatchSource validation = images.Validation!.Shuffled(settings.BatchSize, settings.Seed, device);
        using IDisposable? rounding = fit.AllowRounding();
        SearchState state = checkpoints?.Saved is { } saved ? SearchState.FromJson(saved.State) : new SearchState();
        fit.LogResumption(checkpoints, FitStage.Search, state.Epochs.Count, state.Step, state.ReasonToEnd(search));
        StageEnd end = StageEnd.Whole;
        int epochs;
        try
        {
            if (supernet.Temperature is { } temperature)
            {
                state.ZeroShot ??= ZeroShotStart.Measure(clip, train.Source, validation: null, watch);
                temperature.Set(state.ZeroShot.Temperature);
            }
            new BilevelSearch(clip, search, watch, () => fit.TeachersOf(search.Objective)).Run(
                supernet,
                train.Source,
                validation,
                state,
                checkpoints
            );
            log.Info($"Search: {state.ReasonToEnd(search)}.");
            epochs = state.Epochs.Count;
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && state.Epochs.Count > 0)
        {
            (end, epochs) = (StageEnd.Cancelled, state.Epochs.Count);
            log.Warning(
                $"The search was cancelled: the choice after {epochs} of {search.Epochs} epochs is returned, with the prompts that the "
                    + "search trained for it."
            );
        }
        catch (NonFiniteValueException e) when (settings.ReturnBestWhenDiverged && e.HasGoodValues)
        {
            (end, epochs) = (StageEnd.Diverged, state.GoodEpochs);
            log.Warning(
                $"{fit.Analysis.Explain(e, returns: true).Message} The choice after {epochs} of {search.Epochs} epochs is returned, with "
                    + "the prompts that the search trained for it."
            );
        }
        var report = new SearchReport(search.Candidates, [.. state.Epochs.Take(epochs)]);
        PromptConfiguration choice = report.Configuration;
        log.Info($"Search: {choice}.");
        InputContext? context = supernet.Context is { } learned ? new InputContext(learned.Layout, learned.Vectors, device) : null;
        TaskResidual? residual = supernet.Residual is { } found ? new TaskResidual(found.Values, found.Scale, device) : null;
        PromptSet prompts = search.KeepsMixture
            ? new PromptSet(supernet.ToMixture(), context, residual)
            : new PromptSet(
                new BranchPair<IFixedBranch>(
                    Text: supernet.Branches.Text.Choose(choice.Text),
                    Image: supernet.Branches.Image.Choose(choice.Image)
                ),
                context,
                residual
            );
        return new SearchStageResult(report, prompts, end, supernet.Temperature?.Value ?? 1);
    }
}
