using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The second stage: SGD on prompts of the chosen lengths.</summary>
internal sealed class PromptTraining(PromptedClip clip, TrainingSettings settings, IRunObserver observer)
{
    private const string Optimizer = "optimizer";

    /// <summary>Trains both branches in place; where validation pictures are given, the values of the best epoch (the later of equals) are the ones kept.</summary>
    /// <remarks>Where the observer ends the run the branches hold the best values so far, too: the present ones without validation pictures.</remarks>
    /// <param name="image">Image prompts, changed.</param>
    /// <param name="text">Text prompts, changed.</param>
    /// <param name="train">Training batches.</param>
    /// <param name="validation">Every picture once in epoch 0, or null to keep the last epoch.</param>
    /// <param name="course">Goes on with every step, and says how far training came where it is ended from outside.</param>
    /// <param name="checkpoints">Where the state is kept between steps, and taken from; null: nowhere.</param>
    /// <exception cref="InvalidOperationException">The loss became infinite or not a number.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public void Run(FixedBranch image, FixedBranch text, IBatchSource train, IBatchSource? validation, TrainingCourse course, IStageCheckpoints? checkpoints = null)
    {
        Parameter[] parameters = [.. image.Parameters, .. text.Parameters];
        if (parameters.Length == 0) throw new ArgumentException("All context lengths are 0, so there is nothing to train.", nameof(image));
        image.RequireGradients(true);
        text.RequireGradients(true);
        using SGD optimizer = optim.SGD(parameters, settings.LearningRate, momentum: settings.Momentum, weight_decay: settings.WeightDecay);
        using ZeroShotTeacher? teacher = settings.DistillationWeight > 0 ? new ZeroShotTeacher(clip) : null;
        using var best = new BestValues(parameters);
        if (checkpoints?.Saved is { } saved) Restore(saved, parameters, optimizer, best, course);
        var gate = new StepGate(observer, checkpoints);
        try
        {
            while (course.ReasonToEnd(settings) is null)
            {
                int epoch = course.Epochs.Count, step = course.Step, steps = train.BatchesPerEpoch;
                StageState Now() => State(parameters, optimizer, best, course);
                gate.Pass(step == 0, Now);
                double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.LearningRate);
                foreach (var group in optimizer.ParamGroups) group.LearningRate = rate;
                double loss = course.LastLoss;
                // A run that was cancelled in an epoch's evaluation goes on with that.
                if (step < steps)
                {
                    using ImageBatch batch = train.Read(epoch, step);
                    loss = Step(image, text, batch, optimizer, teacher, epoch, step);
                    course.Add(loss);
                }
                EpochReport? ended = null;
                if (course.Step == steps)
                {
                    Evaluation? evaluation = validation is null ? null : gate.During(() => Evaluation.Of(clip, image, text, validation, observer), Now);
                    if (evaluation is not null) best.Offer(evaluation.Accuracy);
                    TrainingEpoch now = course.EndEpoch(rate, evaluation);
                    ended = new EpochReport(now.TrainLoss, now.ValidationLoss, now.ValidationAccuracy, null, null);
                }
                observer.Report(new StepReport(RunStage.Training, epoch, settings.Epochs, Math.Min(step, steps - 1), steps, rate, loss, null, ended?.ValidationAccuracy, ended));
            }
        }
        finally
        {
            best.Restore();
            image.RequireGradients(false);
            text.RequireGradients(false);
        }
    }

    private static StageState State(Parameter[] parameters, SGD optimizer, BestValues best, TrainingCourse course)
    {
        var tensors = new Dictionary<string, Tensor> { [Optimizer] = SavedParameters.Of(optimizer) };
        SavedParameters.Add(tensors, "prompts", parameters);
        SavedParameters.Add(tensors, "best", best.Values);
        return new StageState(course.ToJson(), tensors);
    }

    private static void Restore(StageState saved, Parameter[] parameters, SGD optimizer, BestValues best, TrainingCourse course)
    {
        SavedParameters.Restore(parameters, saved.Tensors, "prompts");
        SavedParameters.Restore(optimizer, saved.Tensors[Optimizer]);
        if (course.BestAccuracy() is double score) best.Resume(score, [.. parameters.Select((_, i) => saved.Tensors[$"best.{i}"])]);
    }

    private double Step(FixedBranch image, FixedBranch text, ImageBatch batch, optim.Optimizer optimizer, ZeroShotTeacher? teacher, int epoch, int step)
        => OptimizerStep.Take(
            optimizer,
            backward =>
            {
                Tensor logits = clip.Logits(batch.Images, image, text, backward), loss = Losses.CrossEntropy(logits, batch.Labels, batch.Weights);
                return teacher is null ? loss : loss + Losses.Distillation(teacher.Logits(batch.Images), logits, batch.Weights) * settings.DistillationWeight;
            },
            RunStage.Training,
            epoch,
            step,
            settings.MaxGradientNorm);
}
