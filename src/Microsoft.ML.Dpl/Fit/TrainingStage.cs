using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The second stage of a fit: prompts of the chosen lengths are trained.</summary>
/// <param name="fit">What it runs on.</param>
/// <param name="watch">Receives every step.</param>
internal sealed class TrainingStage(PreparedFit fit, IRunObserver watch)
{
    // A validation accuracy that much below zero-shot CLIP's, or a loss that much above, is no accident of a few images or crops.
    private const double Tolerated = 0.02;

    private readonly FitSettings _settings = fit.Settings;

    /// <summary>Runs it, from the checkpoint where there is one.</summary>
    /// <param name="searched">What the search found; null where the lengths were given.</param>
    /// <param name="finalists">What was compared; empty where nothing was.</param>
    /// <param name="checkpoints">Where its state is kept; null: nowhere.</param>
    /// <returns>The caller owns it.</returns>
    /// <exception cref="NonFiniteValueException">A loss or a gradient ceased to be a number, and the settings do not ask for the best so far or
    /// there is none.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run, likewise.</exception>
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
        // After a refit no image is left to validate on: what the winner came to before it is the estimate.
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
                // A mixture goes on where the search left it, and a model's prompts where their training did.
                temperature.Set(keepsMixture ? searched!.Temperature : _settings.Initial?.Temperature ?? state.ZeroShot.Temperature);
            }
            new PromptTraining(fit.Clip, training, watch).Run(
                branches.Prompts.Passes,
                train.Source,
                validation,
                state,
                checkpoints,
                temperature,
                fit.TeachersOf(training.Beside)
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
            log.Warning($"Cancelled in training: the best prompts of {state.Epochs.Count} of {training.Epochs} epochs are returned.");
            return Present() with { End = StageEnd.Cancelled };
        }
        catch (OperationCanceledException) when (_settings.ReturnBestWhenCancelled && searched is not null)
        {
            branches.Dispose();
            log.Warning("Cancelled before the first epoch of training ended: the prompts that the search has for its choice are returned.");
            return searched.AsTrained(StageEnd.Cancelled);
        }
        catch (NonFiniteValueException e) when (_settings.ReturnBestWhenDiverged && e.HasGoodValues)
        {
            string which = fit.Validation is null ? $"The prompts after {state.GoodEpochs}" : $"The best prompts of {state.Epochs.Count}";
            log.Warning($"{fit.Analysis.Explain(e, returns: true).Message} {which} of {training.Epochs} epochs are returned.");
            return Present() with { End = StageEnd.Diverged };
        }
        catch (NonFiniteValueException e) when (_settings.ReturnBestWhenDiverged && searched is not null)
        {
            branches.Dispose();
            log.Warning($"{fit.Analysis.Explain(e, returns: true).Message} The prompts that the search has for its choice are returned.");
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
                    $"Training ended with a mean loss of {state.Epochs[^1].TrainLoss:g3}, after {state.Epochs[0].TrainLoss:g3} in "
                        + $"its first epoch. Instead of the last prompts those after {after} epochs are returned, with which the loss "
                        + $"was lowest ({state.LowestLoss(fit.Classes.Count):g3}). With validation rows "
                        + $"(Validation.RowsPerClass, Validation.Set) the most accurate epoch would be."
                )
            );
    }

    /// <summary>Why the trained prompts are worth less than none; null where they are not, and where the recipe does not ask.</summary>
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
                $"the validation accuracy came to {state.BestAccuracy():p1} at best, but is {zeroShot.ValidationAccuracy:p1} without "
                    + $"prompts."
            );
        return null;
    }

    /// <summary>No layer has a prompt: there is nothing to train, only to evaluate.</summary>
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
