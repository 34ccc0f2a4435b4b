using System.Text.Json;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>How far a stage has come, besides its tensors: the epochs that ended, and the sums of the one under way.</summary>
/// <typeparam name="TEpoch">What is kept of an epoch.</typeparam>
internal abstract class StageState<TEpoch>
{
    /// <summary>The epochs that ended, the first epoch first.</summary>
    public List<TEpoch> Epochs { get; init; } = [];

    /// <summary>Steps taken in the epoch under way; 0 between epochs.</summary>
    public int Step { get; set; }

    /// <summary>Sum of the training losses of these steps.</summary>
    public double TrainLoss { get; set; }

    /// <summary>Epochs after which the values stood that <see cref="GoodValues"/> remembers; 0: it has none.</summary>
    public int GoodEpochs { get; set; }

    /// <summary>Mean training loss of each epoch that ended.</summary>
    public IEnumerable<double> TrainLosses() => Epochs.Select(TrainLossOf);

    /// <summary>Mean training loss of the epoch under way, or else of the one before; null before the first step.</summary>
    public double? RecentLoss() =>
        Step > 0 ? TrainLoss / Step
        : Epochs.Count > 0 ? TrainLossOf(Epochs[^1])
        : null;

    /// <summary>What is wrong with the losses so far.</summary>
    /// <param name="classes">The number of classes, at least 2.</param>
    public LossTrouble Trouble(int classes) => LossTroubles.Find([.. TrainLosses()], classes);

    /// <summary>The state as text; every number comes back as it was, to the last bit.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, GetType(), CheckpointFile.Json);

    /// <exception cref="JsonException">The text is not what <see cref="ToJson"/> writes.</exception>
    protected static TState Read<TState>(string json)
        where TState : StageState<TEpoch>, new() => JsonSerializer.Deserialize<TState>(json, CheckpointFile.Json) ?? new TState();

    protected abstract double TrainLossOf(TEpoch epoch);

    /// <summary>Turns the steps taken into an epoch.</summary>
    protected TEpoch EndEpoch(TEpoch epoch)
    {
        Epochs.Add(epoch);
        (Step, TrainLoss) = (0, 0);
        return epoch;
    }

    /// <summary>Why the stage is over, for the log; null while it is not. A stage ends between two epochs only.</summary>
    /// <param name="epochs">The number of epochs after which it ends at the latest.</param>
    /// <param name="patience">The number of epochs without progress after which it may end; null: all epochs are run.</param>
    /// <param name="stop">The reason to stop early with that patience, or null.</param>
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

    /// <summary>The latest epoch's mean lies far above the first one's, in which the prompts hardly moved.</summary>
    Risen,

    /// <summary>The latest two epochs' means are those of guessing: the prompts drown images or class names, all classes get the same
    /// probability, and no gradient leads back.</summary>
    Chance,
}

/// <summary>Finds trouble in the mean training losses of a stage's epochs.</summary>
internal static class LossTroubles
{
    // Beyond the noise of batches and crops: by half as much again, and by this much where the first loss is small.
    private const double LargeFactor = 1.5,
        LargeRise = 0.5;

    // A loss of drowned prompts is ln(classes) up to rounding; others only pass it.
    private const double NearChance = 2e-3;

    /// <param name="losses">The mean training loss of each epoch in nats, the first epoch first.</param>
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

    /// <summary>Whether a mean loss is that of guessing among so many classes.</summary>
    public static bool IsChance(double loss, int classes) => Math.Abs(loss - Math.Log(classes)) <= NearChance * Math.Log(classes);
}
