using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The second stage: SGD on prompts of the chosen lengths.</summary>
internal sealed class PromptTraining(PromptedClip clip, TrainingSettings settings, IRunObserver observer)
{
    private const string Optimizer = "optimizer",
        Best = "best",
        Good = "good",
        Lowest = "lowest";

    /// <summary>Trains both branches in place; where validation images are given, the values of the best epoch (the later of equals) are
    /// the ones kept.</summary>
    /// <remarks>Where the observer ends the run the branches hold the best values so far, too: the present ones without validation
    /// images.</remarks>
    /// <param name="prompts">The prompts of both branches, changed.</param>
    /// <param name="train">Training batches.</param>
    /// <param name="validation">Every image once in epoch 0, or null to keep the last epoch.</param>
    /// <param name="course">Goes on with every step, and says how far training came where it is ended from outside.</param>
    /// <param name="checkpoints">Where the state is kept between steps, and taken from; null: nowhere.</param>
    /// <exception cref="DivergedException">A loss or a gradient became infinite or not a number. The branches hold the best values so far,
    /// or without validation images those of the latest good epoch, if there are any.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public void Run(
        BranchPair<FixedBranch> prompts,
        IBatchSource train,
        IBatchSource? validation,
        TrainingCourse course,
        IStageCheckpoints? checkpoints = null
    )
    {
        Parameter[] parameters = [.. prompts.ImageFirst.SelectMany(branch => branch.Parameters)];
        if (parameters.Length == 0)
            throw new ArgumentException("All context lengths are 0, so there is nothing to train.", nameof(prompts));
        prompts.Text.RequireGradients(true);
        prompts.Image.RequireGradients(true);
        using SGD optimizer = optim.SGD(parameters, settings.LearningRate, momentum: settings.Momentum, weight_decay: settings.WeightDecay);
        using ZeroShotTeacher? teacher = settings.DistillationWeight > 0 ? new ZeroShotTeacher(clip) : null;
        using var best = new BestValues(parameters);
        // With validation images the best values are the good ones.
        using GoodValues? good = validation is null ? new GoodValues(parameters) : null;
        // The values that the epoch of the lowest loss began with: a loss judges what it was computed with, not what its steps made of it.
        using BestValues? lowest = validation is null ? new BestValues(parameters) : null;
        if (checkpoints?.Saved is { } saved)
            Restore(saved, parameters, optimizer, best, good, lowest, course);
        var gate = new StepGate(observer, checkpoints);
        StageState Now() => State(parameters, optimizer, best, good, lowest, course);
        try
        {
            while (course.ReasonToEnd(settings) is null)
            {
                int epoch = course.Epochs.Count,
                    step = course.Step,
                    steps = train.BatchesPerEpoch;
                gate.Pass(step == 0, Now);
                double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.LearningRate);
                foreach (var group in optimizer.ParamGroups)
                    group.LearningRate = rate;
                double loss = course.LastLoss;
                // A run that was cancelled in an epoch's evaluation goes on with that.
                if (step < steps)
                {
                    using ImageBatch batch = train.Read(epoch, step);
                    if (step == 0)
                        good?.Consider(epoch);
                    loss = Step(prompts, batch, optimizer, teacher, epoch, step);
                    good?.Confirm();
                    course.GoodEpochs = good?.Epochs ?? course.GoodEpochs;
                    course.Add(loss);
                }
                EpochReport? ended = null;
                if (course.Step == steps)
                {
                    Evaluation? evaluation = validation is null
                        ? null
                        : gate.During(() => Evaluation.Compute(clip, prompts, validation, observer), Now);
                    if (evaluation is not null)
                    {
                        evaluation.RequireFinite(epoch, step);
                        best.Offer(evaluation.Accuracy);
                        course.GoodEpochs = epoch + 1;
                    }
                    TrainingEpoch now = course.EndEpoch(rate, evaluation);
                    if (epoch > 0 && good is not null && !LossTroubles.IsChance(now.TrainLoss, clip.Texts.Count))
                        lowest!.Offer(-now.TrainLoss, good.Values);
                    ended = new EpochReport(
                        now.TrainLoss,
                        course.Epochs[0].TrainLoss,
                        course.Trouble(clip.Texts.Count),
                        now.ValidationLoss,
                        now.ValidationAccuracy,
                        DecidedLayers: null,
                        LargestAlphaChange: null,
                        Alphas: null
                    );
                }
                observer.Report(
                    new StepReport(
                        RunStage.Training,
                        epoch,
                        settings.Epochs,
                        Math.Min(step, steps - 1),
                        steps,
                        rate,
                        loss,
                        null,
                        ended?.ValidationAccuracy,
                        ended
                    )
                );
            }
            if (validation is null)
                RequireFiniteEnd(prompts, train, course);
            gate.End(Now);
            if (course.EpochsOfLowestLoss(clip.Texts.Count) is not null)
                lowest?.Restore();
        }
        catch (DivergedException e)
        {
            (e.LossBefore, e.HasGoodValues) = (course.RecentLoss(), course.GoodEpochs > 0);
            good?.Restore();
            throw;
        }
        finally
        {
            best.Restore();
            prompts.Text.RequireGradients(false);
            prompts.Image.RequireGradients(false);
        }
    }

    private static StageState State(
        Parameter[] parameters,
        SGD optimizer,
        BestValues best,
        GoodValues? good,
        BestValues? lowest,
        TrainingCourse course
    )
    {
        var tensors = new Dictionary<string, Tensor> { [Optimizer] = SavedParameters.Of(optimizer) };
        SavedParameters.Add(tensors, "prompts", parameters);
        SavedParameters.Add(tensors, Best, best.Values);
        SavedParameters.Add(tensors, Good, good?.Values ?? []);
        SavedParameters.Add(tensors, Lowest, lowest?.Values ?? []);
        return new StageState(course.ToJson(), tensors);
    }

    private void Restore(
        StageState saved,
        Parameter[] parameters,
        SGD optimizer,
        BestValues best,
        GoodValues? good,
        BestValues? lowest,
        TrainingCourse course
    )
    {
        SavedParameters.Restore(parameters, saved.Tensors, "prompts");
        SavedParameters.Restore(optimizer, saved.Tensors[Optimizer]);
        if (course.BestAccuracy() is double score)
            best.Resume(score, SavedParameters.Read(parameters.Length, saved.Tensors, Best));
        if (course.LowestLoss(clip.Texts.Count) is double loss)
            lowest?.Resume(-loss, SavedParameters.Read(parameters.Length, saved.Tensors, Lowest));
        if (course.GoodEpochs > 0)
            good?.Resume(course.GoodEpochs, SavedParameters.Read(parameters.Length, saved.Tensors, Good));
    }

    /// <summary>The last step's prompts have been seen by no loss yet: one more forward pass of its batch tells whether they give
    /// numbers.</summary>
    private void RequireFiniteEnd(BranchPair<FixedBranch> prompts, IBatchSource train, TrainingCourse course)
    {
        int epoch = course.Epochs.Count - 1,
            step = train.BatchesPerEpoch - 1;
        Evaluation end = Evaluation.Compute(clip, prompts, train.Read(epoch, step));
        if (!double.IsFinite(end.Loss))
            throw new DivergedException(RunStage.Training, epoch, step, Watched.FinalLoss, end.Loss, end.FirstBad, ofValidation: false);
    }

    private double Step(
        BranchPair<FixedBranch> prompts,
        ImageBatch batch,
        optim.Optimizer optimizer,
        ZeroShotTeacher? teacher,
        int epoch,
        int step
    ) =>
        OptimizerStep.Take(
            optimizer,
            backward =>
            {
                Tensor logits = clip.Logits(batch.Images, prompts, backward),
                    loss = Losses.CrossEntropy(logits, batch.Labels, batch.Weights);
                return teacher is null
                    ? loss
                    : loss + Losses.Distillation(teacher.Logits(batch.Images), logits, batch.Weights) * settings.DistillationWeight;
            },
            RunStage.Training,
            epoch,
            step,
            batch,
            maxGradientNorm: settings.MaxGradientNorm
        );
}
