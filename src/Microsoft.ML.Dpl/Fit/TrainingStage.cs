using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The second stage of a fit, which trains prompts of the chosen lengths.</summary>
/// <param name="fit">The prepared data, CLIP and settings.</param>
/// <param name="watch">Notified after every step; may cancel.</param>
internal sealed class TrainingStage(PreparedFit fit, IRunObserver watch)
{
    // A validation accuracy this far below zero-shot CLIP's, or a loss this far above, is more than noise from a few images or crops.
    private const double Tolerated = 0.02;

    private readonly FitSettings _settings = fit.Settings;

    /// <summary>Runs the training, from a checkpoint if there is one.</summary>
    /// <param name="searched">The result of the search; null if the lengths were given.</param>
    /// <param name="finalists">The results of the comparison; empty without one.</param>
    /// <param name="checkpoints">Where the state is saved; null: it is not.</param>
    /// <returns>The result; owned by the caller.</returns>
    /// <exception cref="NonFiniteValueException">A loss or a gradient became infinite or NaN, and the settings do not ask for the best
    /// result so far or there is none.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run, and the settings do not ask for the best result so far
    /// or there is none.</exception>
    public TrainingStageResult Run(SearchStageResult? searched, IReadOnlyList<Finalist> finalists, IStageCheckpoints? checkpoints)
    {
        HostLog log = fit.Log;
        Finalist? winner = finalists.MinBy(finalist => finalist.ValidationLoss);
        PromptConfiguration configuration = winner?.Configuration
            ?? searched?.Report.Configuration
            ?? new PromptConfiguration(_settings.TextLengths!, _settings.ImageLengths!);
        if (winner is not null)
            log.Info($"Comparison: {winner} has the lowest validation loss.");
        bool refits = searched is not null && _settings.Refits;
        bool keepsMixture = winner?.IsMixture ?? searched is { Prompts.IsMixture: true };
        PromptSet prompts = keepsMixture ? searched!.Prompts.CopyMixture(fit.Device) : fit.FreshPrompts(configuration, "training");
        var branches = new TrainingStageResult(prompts, Finalists: finalists);
        using TrainFeed? train = branches.Prompts.IsEmpty ? null : fit.TrainingFeed("training batches", refits);
        TrainingSettings training = train is null ? _settings.Training : _settings.Training.Over(train.Source.BatchesPerEpoch);
        using IDisposable? rounding = fit.AllowRounding();
        TrainingState state = checkpoints?.Saved is { } saved ? TrainingState.FromJson(saved.State) : new TrainingState();
        fit.LogResumption(checkpoints, FitStage.Training, state.Epochs.Count, state.Step, state.ReasonToEnd(training));
        using Temperature? temperature = _settings.Training.Recipe == TrainingRecipe.Robust ? new Temperature(1, fit.Device) : null;
        // A refit leaves no images to validate on, so the winner's accuracy in the comparison is the estimate.
        TrainingStageResult Present() =>
            branches with
            {
                ValidationAccuracy = refits ? winner?.ValidationAccuracy : state.BestAccuracy(),
                Temperature = temperature?.Value ?? 1,
            };
        try
        {
            if (train is null)
                return ZeroShot(branches);
            IBatchSource? validation = refits ? null : fit.Validation?.InOrder(_settings.PredictionBatchSize, fit.Device);
            if (temperature is not null)
            {
                state.ZeroShot ??= ZeroShotStart.Measure(fit.Clip, train.Source, validation, watch);
                // A mixture continues at the temperature of the search, and an earlier model's prompts at the temperature of that model.
                temperature.Set(keepsMixture ? searched!.Temperature : _settings.Initial?.Temperature ?? state.ZeroShot.Temperature);
            }
            new PromptTraining(fit.Clip, training, watch).Run(
                branches.Prompts.Passes,
                train.Source,
                validation,
                state,
                checkpoints,
                temperature,
                () => fit.TeachersOf(training.Beside)
            );
            log.Info($"Training: {state.ReasonToEnd(training)}.");
            WarnOfLowestLoss(state);
            if (Failure(state) is { } failure)
            {
                log.Warning($"Training: {failure} The model returned is zero-shot CLIP, without {What(branches.Prompts)}.");
                branches.Dispose();
                return ZeroShotInstead(state, finalists);
            }
            if (state.BestAccuracy() is double accuracy)
                log.Info(FormattableString.Invariant($"Training: validation accuracy {accuracy:p1}."));
            return Present();
        }
        catch (OperationCanceledException) when (_settings.ReturnBestWhenCancelled && state.Epochs.Count > 0)
        {
            log.Warning($"The training was cancelled: the best prompts of {state.Epochs.Count} of {training.Epochs} epochs are returned.");
            return Present() with { End = StageEnd.Cancelled };
        }
        catch (OperationCanceledException) when (_settings.ReturnBestWhenCancelled && searched is not null)
        {
            branches.Dispose();
            log.Warning("The training was cancelled in its first epoch: the prompts that the search trained for its choice are returned.");
            return searched.AsTrained(StageEnd.Cancelled);
        }
        catch (NonFiniteValueException e) when (_settings.ReturnBestWhenDiverged && e.HasGoodValues)
        {
            string which =
                refits || fit.Validation is null ? $"The prompts after {state.GoodEpochs}" : $"The best prompts of {state.Epochs.Count}";
            log.Warning($"{fit.Analysis.Explain(e, returns: true).Message} {which} of {training.Epochs} epochs are returned.");
            return Present() with { End = StageEnd.Diverged };
        }
        catch (NonFiniteValueException e) when (_settings.ReturnBestWhenDiverged && searched is not null)
        {
            branches.Dispose();
            log.Warning(
                $"{fit.Analysis.Explain(e, returns: true).Message} The prompts that the search trained for its choice are returned."
            );
            return searched.AsTrained(StageEnd.Diverged);
        }
        catch
        {
            branches.Dispose();
            throw;
        }
    }

    private static string What(PromptSet prompts) => prompts.Context is null ? "prompts" : "prompts and context";

    private void WarnOfLowestLoss(TrainingState state)
    {
        if (state.EpochsOfLowestLoss(fit.Classes.Count) is int after)
            fit.Log.Warning(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Training ended with a mean loss of {state.Epochs[^1].TrainLoss:g3}, after {state.Epochs[0].TrainLoss:g3} in its "
                        + $"first epoch. The prompts after {after} epochs are returned instead of the last ones, since their loss was "
                        + $"lowest ({state.LowestLoss(fit.Classes.Count):g3}). With validation rows (Validation.RowsPerClass, "
                        + $"Validation.Set), those of the most accurate epoch would be."
                )
            );
    }

    /// <summary>Why the trained prompts are worse than none; null if they are not, or if the recipe does not check it.</summary>
    private string? Failure(TrainingState state)
    {
        if (state.ZeroShot is not { } zeroShot)
            return null;
        double loss = state.LossOfResult(fit.Classes.Count);
        if (loss > zeroShot.Loss * (1 + Tolerated))
            return string.Create(
                CultureInfo.InvariantCulture,
                $"after {state.Epochs.Count} epochs the mean loss is {loss:g3}, but {zeroShot.Loss:g3} without prompts."
            );
        if (state.BestAccuracy() < zeroShot.ValidationAccuracy - Tolerated)
            return string.Create(
                CultureInfo.InvariantCulture,
                $"the validation accuracy reached {state.BestAccuracy():p1} at best, but is {zeroShot.ValidationAccuracy:p1} without "
                    + $"prompts."
            );
        return null;
    }

    /// <summary>The result if no layer has a prompt: there is nothing to train, only to evaluate.</summary>
    private TrainingStageResult ZeroShot(TrainingStageResult branches)
    {
        fit.Log.Info("Training: no layer has a prompt, so there is nothing to train; the model is zero-shot CLIP.");
        if (fit.Validation?.InOrder(_settings.PredictionBatchSize, fit.Device) is not { } validation)
            return branches;
        Evaluation evaluation = Evaluation.Compute(fit.Clip, branches.Prompts.Passes, validation, watch);
        evaluation.RequireFinite(epoch: 0, step: 0);
        return branches with { ValidationAccuracy = evaluation.Accuracy };
    }

    private TrainingStageResult ZeroShotInstead(TrainingState state, IReadOnlyList<Finalist> finalists)
    {
        static FixedBranch Plain(int layers, Device device) => new(new Tensor?[layers], device);
        ClipConfig config = fit.Backbone.Config;
        var prompts = new PromptSet(
            new BranchPair<IFixedBranch>(Plain(config.Text.Layers, fit.Device), Plain(config.Image.Layers, fit.Device))
        );
        return new TrainingStageResult(prompts, state.ZeroShot!.ValidationAccuracy, StageEnd.Whole, state.ZeroShot.Temperature, finalists);
    }
}
