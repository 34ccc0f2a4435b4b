using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The second stage: SGD on prompts of the chosen lengths.</summary>
internal sealed class PromptTraining(PromptedClip clip, TrainingSettings settings, IRunObserver observer)
{
    /// <summary>Trains both branches in place; where validation pictures are given, the values of the best epoch (the later of equals) are the ones kept.</summary>
    /// <param name="image">Image prompts, changed.</param>
    /// <param name="text">Text prompts, changed.</param>
    /// <param name="train">Training batches; may be null where there is nothing to train.</param>
    /// <param name="validation">Every picture once in epoch 0, or null to keep the last epoch.</param>
    /// <returns>Best validation accuracy, 0 to 1; null without validation pictures.</returns>
    /// <exception cref="InvalidOperationException">The loss became infinite or not a number.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public double? Run(FixedBranch image, FixedBranch text, IBatchSource? train, IBatchSource? validation)
    {
        Parameter[] parameters = [.. image.Parameters, .. text.Parameters];
        if (parameters.Length == 0) return validation is null ? null : Evaluation.Accuracy(clip, image, text, validation, observer);

        ArgumentNullException.ThrowIfNull(train);
        image.RequireGradients(true);
        text.RequireGradients(true);
        using optim.Optimizer optimizer = optim.SGD(parameters, settings.LearningRate, momentum: settings.Momentum, weight_decay: settings.WeightDecay);
        using ZeroShotTeacher? teacher = settings.DistillationWeight > 0 ? new ZeroShotTeacher(clip) : null;
        using var best = new BestValues(parameters);
        for (int epoch = 0; epoch < settings.Epochs; epoch++)
        {
            double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.LearningRate);
            foreach (var group in optimizer.ParamGroups) group.LearningRate = rate;
            for (int step = 0; step < train.BatchesPerEpoch; step++)
            {
                observer.ThrowIfCancelled();
                using ImageBatch batch = train.Read(epoch, step);
                double loss = Step(image, text, batch, optimizer, teacher, epoch, step);
                bool evaluate = validation is not null && step == train.BatchesPerEpoch - 1;
                double? accuracy = evaluate ? Evaluation.Accuracy(clip, image, text, validation!, observer) : null;
                if (accuracy is double value) best.Offer(value);
                observer.Report(new StepReport(RunStage.Training, epoch, settings.Epochs, step, train.BatchesPerEpoch, rate, loss, null, accuracy));
            }
        }
        image.RequireGradients(false);
        text.RequireGradients(false);
        return best.Restore();
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
            step);
}
