using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The second stage, which trains prompts of the chosen lengths.</summary>
internal sealed class PromptTraining(PromptedClip clip, TrainingSettings settings, IRunObserver observer)
{
    private const string Optimizer = "optimizer",
        Best = "best",
        Good = "good",
        Lowest = "lowest",
        Average = "average";

    /// <summary>
    /// Trains both branches in place. With validation images, the values of the best epoch are kept, or of the latest of several equally
    /// good ones.
    /// </summary>
    /// <remarks>If the observer cancels the run, the branches also hold the best values so far, or without validation images the current
    /// ones.</remarks>
    /// <param name="prompts">The prompts of both branches, modified in place.</param>
    /// <param name="train">Training batches.</param>
    /// <param name="validation">Every image once in epoch 0; null: the values of the last epoch are kept.</param>
    /// <param name="state">Progress of training; updated after every step.</param>
    /// <param name="checkpoints">Checkpoint to resume from and place to save new ones; null: none.</param>
    /// <param name="temperature">Trained and restored together with the prompts; null: the logits are CLIP's own.</param>
    /// <param name="teachers">Computes the reference models of the regularisers, which are not owned, unless no step is left. Null:
    /// zero-shot CLIP, if the settings need one, computed for every batch.</param>
    /// <exception cref="NonFiniteValueException">A loss or a gradient became infinite or NaN. The branches hold the best values so far, or
    /// without validation images those of the latest good epoch, if there is one.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public void Run<TBranch>(
        BranchPair<TBranch> prompts,
        IBatchSource train,
        IBatchSource? validation,
        TrainingState state,
        IStageCheckpoints? checkpoints = null,
        Temperature? temperature = null,
        Func<Teachers?>? teachers = null
    )
        where TBranch : IPromptedBranch
    {
        Parameter[] rows = [.. prompts.ImageFirst.SelectMany(branch => branch.Parameters)];
        if (rows.Length == 0)
            throw new ArgumentException("All prompt lengths are 0, so there is nothing to train.", nameof(prompts));
        Parameter[] parameters = [.. rows, .. temperature is null ? [] : new[] { temperature.Logarithm }];
        foreach (Tensor parameter in parameters)
            parameter.requires_grad_(true);
        using var optimizer = new PromptOptimizer(rows, temperature, settings);
        using ParameterAverage? average = settings.Average is { } weights
            ? new ParameterAverage(parameters, weights, settings.Epochs)
            : null;
        using var best = new BestValues(parameters);
        // With validation images, the best values are used instead.
        using GoodValues? good = validation is null ? new GoodValues(parameters) : null;
        // The values at the beginning of the epoch with the lowest loss, since that loss was computed with them, not with those at its end.
        using BestValues? lowest = validation is null ? new BestValues(parameters) : null;
        if (checkpoints?.Saved is { } saved)
            Restore(saved, parameters, optimizer.Optimizer, best, good, lowest, average, state, train.BatchesPerEpoch);
        var schedule = new CheckpointSchedule(observer, checkpoints);
        SavedStage Now() => Snapshot(parameters, optimizer.Optimizer, best, good, lowest, average, state);
        double? lastRate = null;
        try
        {
            bool isOver = state.ReasonToEnd(settings) is not null;
            ObjectiveSettings beside = settings.Beside;
            // Teachers can take long, and a run that is cancelled meanwhile has the restored prompts to return.
            Teachers? given = isOver ? null : teachers?.Invoke();
            using Teacher? own = isOver || beside.IsPlain || given is not null ? null : Teacher.Create(clip);
            var objective = new PromptObjective(beside, given ?? (own is null ? null : new Teachers(own)));
            while (state.ReasonToEnd(settings) is null)
            {
                int epoch = state.Epochs.Count,
                    step = state.Step,
                    steps = train.BatchesPerEpoch;
                schedule.BeforeStep(step == 0, Now);
                double rate = optimizer.SetRate(epoch, settings.Epochs, step, steps);
                lastRate = rate;
                double loss = state.LastLoss;
                // A run that was cancelled during an epoch's evaluation continues with that evaluation.
                if (step < steps)
                {
                    using ImageBatch batch = train.Read(epoch, step);
                    if (step == 0)
                        good?.Consider(epoch);
                    loss = objective.Step(
                        optimizer,
                        backward => clip.Outputs(batch.Images, prompts, backward),
                        temperature,
                        batch,
                        FitStage.Training,
                        epoch,
                        step,
                        settings.MaxGradientNorm
                    );
                    good?.Confirm();
                    state.GoodEpochs = good?.Epochs ?? state.GoodEpochs;
                    state.Add(loss);
                    if (state.Step == steps)
                        average?.Add(epoch);
                }
                EpochMetrics? ended = null;
                if (state.Step == steps)
                {
                    Evaluation Evaluate() => Evaluation.Compute(clip, prompts, validation!, observer, temperature?.Value ?? 1);
                    Evaluation? evaluation = validation is null
                        ? null
                        : schedule.During(() => average is null ? Evaluate() : average.With(Evaluate), Now);
                    if (evaluation is not null)
                    {
                        evaluation.RequireFinite(epoch, step);
                        best.Offer(evaluation.Accuracy, average?.Values ?? parameters);
                        state.GoodEpochs = epoch + 1;
                    }
                    TrainingEpoch now = state.EndEpoch(rate, evaluation);
                    if (epoch > 0 && good is not null && !LossTroubles.IsChance(now.TrainLoss, clip.Texts.Count))
                        lowest!.Offer(-now.TrainLoss, good.Values);
                    ended = new EpochMetrics
                    {
                        TrainLoss = now.TrainLoss,
                        FirstTrainLoss = state.Epochs[0].TrainLoss,
                        Trouble = state.Trouble(clip.Texts.Count),
                        IsLast = state.ReasonToEnd(settings) is not null,
                        ValidationLoss = now.ValidationLoss,
                        ValidationAccuracy = now.ValidationAccuracy,
                    };
                }
                observer.Report(
                    new FitProgress
                    {
                        Stage = FitStage.Training,
                        Epoch = epoch + 1,
                        Epochs = settings.Epochs,
                        Step = Math.Min(step + 1, steps),
                        Steps = steps,
                        LearningRate = rate,
                        TrainLoss = loss,
                        ValidationAccuracy = ended?.ValidationAccuracy,
                        EndedEpoch = ended,
                    }
                );
            }
            average?.Apply();
            if (validation is null)
                RequireFiniteEnd(prompts, temperature, train, state);
            schedule.AtEnd(Now);
            if (state.EpochsOfLowestLoss(clip.Texts.Count) is not null)
                lowest?.Restore();
        }
        catch (OperationCanceledException)
        {
            average?.Apply();
            throw;
        }
        catch (NonFiniteValueException e)
        {
            (e.LossBefore, e.LearningRate, e.HasGoodValues) = (state.RecentLoss(), lastRate, state.GoodEpochs > 0);
            good?.Restore();
            throw;
        }
        finally
        {
            best.Restore();
            foreach (Tensor parameter in parameters)
                parameter.requires_grad_(false);
        }
    }

    private static SavedStage Snapshot(
        Parameter[] parameters,
        OptimizerHelper optimizer,
        BestValues best,
        GoodValues? good,
        BestValues? lowest,
        ParameterAverage? average,
        TrainingState state
    )
    {
        var tensors = new Dictionary<string, Tensor> { [Optimizer] = SavedParameters.From(optimizer) };
        SavedParameters.Add(tensors, "prompts", parameters);
        SavedParameters.Add(tensors, Best, best.Values);
        SavedParameters.Add(tensors, Good, good?.Values ?? []);
        SavedParameters.Add(tensors, Lowest, lowest?.Values ?? []);
        SavedParameters.Add(tensors, Average, average?.Values ?? []);
        return new SavedStage(state.ToJson(), tensors);
    }

    private void Restore(
        SavedStage saved,
        Parameter[] parameters,
        OptimizerHelper optimizer,
        BestValues best,
        GoodValues? good,
        BestValues? lowest,
        ParameterAverage? average,
        TrainingState state,
        int steps
    )
    {
        SavedParameters.Restore(parameters, saved.Tensors, "prompts");
        SavedParameters.Restore(optimizer, saved.Tensors[Optimizer]);
        if (state.BestAccuracy() is double score)
            best.Resume(score, SavedParameters.Read(parameters.Length, saved.Tensors, Best));
        if (state.LowestLoss(clip.Texts.Count) is double loss)
            lowest?.Resume(-loss, SavedParameters.Read(parameters.Length, saved.Tensors, Lowest));
        if (state.GoodEpochs > 0)
            good?.Resume(state.GoodEpochs, SavedParameters.Read(parameters.Length, saved.Tensors, Good));
        // The mean already includes an epoch whose evaluation was interrupted.
        if (state.Epochs.Count + (state.Step == steps ? 1 : 0) is var taken and > 0)
            average?.Resume(taken, SavedParameters.Read(parameters.Length, saved.Tensors, Average));
    }

    /// <summary>
    /// Recomputes the loss of the last batch, since no loss has been computed with the final prompts yet, and throws if it is not finite.
    /// </summary>
    private void RequireFiniteEnd<TBranch>(BranchPair<TBranch> prompts, Temperature? temperature, IBatchSource train, TrainingState state)
        where TBranch : IPromptedBranch
    {
        int epoch = state.Epochs.Count - 1,
            step = train.BatchesPerEpoch - 1;
        Evaluation end = Evaluation.Compute(clip, prompts, train.Read(epoch, step), temperature?.Value ?? 1);
        if (!double.IsFinite(end.Loss))
            throw new NonFiniteValueException(
                FitStage.Training,
                epoch,
                step,
                Watched.FinalLoss,
                end.Loss,
                end.FirstBad,
                isInValidation: false
            );
    }
}
