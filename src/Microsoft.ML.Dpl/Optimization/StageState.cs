using System.Text.Json;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The progress of a stage, apart from its tensors: the finished epochs and the sums of the current one.</summary>
/// <typeparam name="TEpoch">The record of a finished epoch.</typeparam>
internal abstract class StageState<TEpoch>
{
    /// <summary>The finished epochs in order.</summary>
    public List<TEpoch> Epochs { get; init; } = [];

    /// <summary>Steps taken in the current epoch; 0 between epochs.</summary>
    public int Step { get; set; }

    /// <summary>Sum of the training losses of the steps taken in the current epoch.</summary>
    public double TrainLoss { get; set; }

    /// <summary>Number of epochs after which the values in <see cref="GoodValues"/> were reached; 0: it has none.</summary>
    public int GoodEpochs { get; set; }

    /// <summary>Mean training loss of each finished epoch.</summary>
    public IEnumerable<double> TrainLosses() => Epochs.Select(TrainLossOf);

    /// <summary>Mean training loss of the current epoch, or between epochs that of the last one; null before the first step.</summary>
    public double? RecentLoss() =>
        Step > 0 ? TrainLoss / Step
        : Epochs.Count > 0 ? TrainLossOf(Epochs[^1])
        : null;

    /// <summary>What is wrong with the losses so far.</summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    public LossTrouble Trouble(int classes) => LossTroubles.Find([.. TrainLosses()], classes);

    /// <summary>The state as JSON; every number is restored exactly.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, GetType(), CheckpointFile.Json);

    /// <exception cref="JsonException">The text is not what <see cref="ToJson"/> writes.</exception>
    protected static TState Read<TState>(string json)
        where TState : StageState<TEpoch>, new() => JsonSerializer.Deserialize<TState>(json, CheckpointFile.Json) ?? new TState();

    protected abstract double TrainLossOf(TEpoch epoch);

    /// <summary>Adds a finished epoch and resets the sums of the current one.</summary>
    protected TEpoch EndEpoch(TEpoch epoch)
    {
        Epochs.Add(epoch);
        (Step, TrainLoss) = (0, 0);
        return epoch;
    }

    /// <summary>Why the stage is over, for the log; null while it is not. A stage ends only between two epochs.</summary>
    /// <param name="epochs">The largest number of epochs.</param>
    /// <param name="patience">The number of epochs without progress after which it may end; null: all epochs are run.</param>
    /// <param name="stop">Returns the reason to stop early for that patience, or null.</param>
    protected string? ReasonToEnd(int epochs, int? patience, Func<int, string?> stop) =>
        Step > 0 ? null
        : Epochs.Count >= epochs ? $"all {epochs} epochs were run"
        : patience is int limit ? stop(limit)
        : null;
}

/// <summary>What is wrong with a stage's losses while all of them are finite.</summary>
internal enum LossTrouble
{
    None,

    /// <summary>The mean of the latest epoch is far above that of the first, in which the prompts hardly changed.</summary>
    Risen,

    /// <summary>
    /// The means of the latest two epochs are at chance level: the prompts dominate images or class names, all classes get the same
    /// probability, and no gradient leads back.
    /// </summary>
    Chance,
}

/// <summary>Detects trouble in the mean training losses of a stage's epochs.</summary>
internal static class LossTroubles
{
    // Well beyond the noise of batches and crops: half as much again, and at least this much where the first loss is small.
    private const double LargeFactor = 1.5,
        LargeRise = 0.5;

    // Once prompts dominate, the loss is ln(classes) up to rounding; other runs only pass through this value.
    private const double NearChance = 2e-3;

    /// <param name="losses">The mean training losses of the epochs in order, in nats.</param>
    /// <param name="classes">The number of classes, at least 2.</param>
    public static LossTrouble Find(IReadOnlyList<double> losses, int classes)
    {
        if (losses.Count < 2)
            return LossTrouble.None;
        double first = losses[0],
            now = losses[^1];
        if (IsChance(now, classes) && IsChance(losses[^2], classes))
            return LossTrouble.Chance;
        return now > LargeFactor * first && now > first + LargeRise ? LossTrouble.Risen : LossTrouble.None;
    }

    /// <summary>Whether a mean loss is at chance level for this number of classes.</summary>
    public static bool IsChance(double loss, int classes) => Math.Abs(loss - Math.Log(classes)) <= NearChance * Math.Log(classes);
}
