using System.Text.Json;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Training;

/// <summary>One epoch of training.</summary>
/// <param name="LearningRate">The prompts' learning rate.</param>
/// <param name="TrainLoss">Mean loss of the epoch's training batches.</param>
/// <param name="ValidationLoss">Mean loss of the validation images; null if there are none.</param>
/// <param name="ValidationAccuracy">Accuracy on the validation images, 0 to 1; null if there are none.</param>
internal sealed record TrainingEpoch(double LearningRate, double TrainLoss, double? ValidationLoss, double? ValidationAccuracy);

/// <summary>The progress of training, apart from its tensors.</summary>
internal sealed class TrainingState : StageState<TrainingEpoch>
{
    /// <summary>How CLIP without prompts does on the training images; null if the recipe does not need it.</summary>
    public ZeroShotStart? ZeroShot { get; set; }

    /// <summary>The loss of the last step taken.</summary>
    public double LastLoss { get; set; }

    /// <summary>The highest validation accuracy so far, 0 to 1; null if there is none.</summary>
    public double? BestAccuracy() => Epochs.Max(epoch => epoch.ValidationAccuracy);

    /// <summary>
    /// The lowest mean training loss of an epoch after the warm-up, ignoring epochs at chance level; null if there is no such epoch.
    /// </summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    public double? LowestLoss(int classes) =>
        TrainLosses().Skip(1).Where(loss => !LossTroubles.IsChance(loss, classes)).Cast<double?>().Min();

    /// <summary>
    /// If training without validation images ended in <see cref="LossTrouble"/>: the number of epochs completed before the one with the
    /// lowest mean loss, whose initial prompts are the result. Otherwise null: the last prompts are the result.
    /// </summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    public int? EpochsOfLowestLoss(int classes) =>
        BestAccuracy() is null && Trouble(classes) != LossTrouble.None && LowestLoss(classes) is double lowest
            ? Epochs.FindLastIndex(epoch => epoch.TrainLoss == lowest)
            : null;

    /// <summary>The mean training loss of the epoch whose prompts are the result.</summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    public double LossOfResult(int classes) =>
        BestAccuracy() is double best ? Epochs.FindLast(epoch => epoch.ValidationAccuracy == best)!.TrainLoss
        : EpochsOfLowestLoss(classes) is not null ? LowestLoss(classes)!.Value
        : Epochs[^1].TrainLoss;

    /// <exception cref="JsonException">The text is not what <see cref="StageState{TEpoch}.ToJson"/> writes.</exception>
    public static TrainingState FromJson(string json) => Read<TrainingState>(json);

    /// <summary>Counts one step.</summary>
    public void Add(double loss)
    {
        Step++;
        TrainLoss += loss;
        LastLoss = loss;
    }

    /// <summary>Ends the current epoch and adds it to the finished ones.</summary>
    /// <param name="learningRate">The prompts' learning rate in this epoch.</param>
    /// <param name="validation">The evaluation at the end of the epoch; null if there are no validation images.</param>
    public TrainingEpoch EndEpoch(double learningRate, Evaluation? validation) =>
        EndEpoch(new TrainingEpoch(learningRate, TrainLoss / Step, validation?.Loss, validation?.Accuracy));

    /// <summary>Why training is over, for the log; null while it is not.</summary>
    public string? ReasonToEnd(TrainingSettings settings) =>
        ReasonToEnd(settings.Epochs, settings.Patience, patience => ReasonToStop(settings, patience));

    protected override double TrainLossOf(TrainingEpoch epoch) => epoch.TrainLoss;

    private string? ReasonToStop(TrainingSettings settings, int patience)
    {
        if (BestAccuracy() is not double best)
            return null;
        int since = Epochs.Count - 1 - Epochs.FindIndex(epoch => epoch.ValidationAccuracy == best);
        return since < patience
            ? null
            : $"the validation accuracy has not risen for {since} epochs, so training ended after {Epochs.Count} of {settings.Epochs} "
                + "epochs";
    }
}
