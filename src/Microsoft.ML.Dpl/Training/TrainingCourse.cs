using System.Text.Json;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Training;

/// <summary>One epoch of training.</summary>
/// <param name="LearningRate">Of the prompts.</param>
/// <param name="TrainLoss">Mean over the epoch's training batches.</param>
/// <param name="ValidationLoss">Mean over the validation images; null without any.</param>
/// <param name="ValidationAccuracy">0 to 1; null without validation images.</param>
internal sealed record TrainingEpoch(double LearningRate, double TrainLoss, double? ValidationLoss, double? ValidationAccuracy);

/// <summary>How far training is, besides its tensors: the epochs that ended, and the sum of the one under way.</summary>
internal sealed class TrainingCourse
{
    /// <summary>The epochs that ended.</summary>
    public List<TrainingEpoch> Epochs { get; init; } = [];

    /// <summary>Steps taken in the epoch under way; 0 between epochs.</summary>
    public int Step { get; set; }

    /// <summary>Sum of the losses of these steps.</summary>
    public double TrainLoss { get; set; }

    /// <summary>The loss of the last step taken.</summary>
    public double LastLoss { get; set; }

    /// <summary>After how many epochs the values stood that <see cref="GoodValues"/> remembers; 0: it has none.</summary>
    public int GoodEpochs { get; set; }

    /// <summary>Mean training loss of the epoch under way, or else of the one before; null before the first step.</summary>
    public double? RecentLoss() =>
        Step > 0 ? TrainLoss / Step
        : Epochs.Count > 0 ? Epochs[^1].TrainLoss
        : null;

    /// <summary>The highest validation accuracy so far, 0 to 1; null without one.</summary>
    public double? BestAccuracy() => Epochs.Max(epoch => epoch.ValidationAccuracy);

    /// <summary>The lowest mean training loss of an epoch after the warm-up that is not the loss of guessing; null where there is
    /// none.</summary>
    /// <param name="classes">How many there are.</param>
    public double? LowestLoss(int classes) =>
        Epochs.Skip(1).Select(epoch => epoch.TrainLoss).Where(loss => !LossTroubles.IsChance(loss, classes)).Cast<double?>().Min();

    /// <summary>What is wrong with the losses so far.</summary>
    /// <param name="classes">How many there are.</param>
    public LossTrouble Trouble(int classes) => LossTroubles.Of([.. Epochs.Select(epoch => epoch.TrainLoss)], classes);

    /// <summary>
    /// Where training without validation images ended in <see cref="LossTrouble"/>: after how many epochs the prompts stood that the epoch
    /// of the lowest mean loss began with. Else null: the last prompts are the result.
    /// </summary>
    /// <param name="classes">How many there are.</param>
    public int? EpochsOfLowestLoss(int classes) =>
        BestAccuracy() is null && Trouble(classes) != LossTrouble.None && LowestLoss(classes) is double lowest
            ? Epochs.FindLastIndex(epoch => epoch.TrainLoss == lowest)
            : null;

    /// <exception cref="JsonException">The text is not what <see cref="ToJson"/> writes.</exception>
    public static TrainingCourse FromJson(string json) =>
        JsonSerializer.Deserialize<TrainingCourse>(json, CheckpointFile.Json) ?? new TrainingCourse();

    /// <summary>Every number comes back as it was, to the last bit.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, CheckpointFile.Json);

    /// <summary>Counts one step.</summary>
    public void Add(double loss)
    {
        Step++;
        TrainLoss += loss;
        LastLoss = loss;
    }

    /// <summary>Turns the steps taken into an epoch.</summary>
    public TrainingEpoch EndEpoch(double learningRate, Evaluation? validation)
    {
        var epoch = new TrainingEpoch(learningRate, TrainLoss / Step, validation?.Loss, validation?.Accuracy);
        Epochs.Add(epoch);
        (Step, TrainLoss) = (0, 0);
        return epoch;
    }

    /// <summary>Why training is over, for the log; null while it is not.</summary>
    public string? ReasonToEnd(TrainingSettings settings)
    {
        if (Step > 0)
            return null;
        if (Epochs.Count >= settings.Epochs)
            return $"all {settings.Epochs} epochs were run";
        if (settings.Patience is not int patience || BestAccuracy() is not double best)
            return null;
        int since = Epochs.Count - 1 - Epochs.FindIndex(epoch => epoch.ValidationAccuracy == best);
        return since < patience
            ? null
            : $"the validation accuracy has not risen for {since} epochs, so training ended after {Epochs.Count} of {settings.Epochs} "
                + "epochs";
    }
}
