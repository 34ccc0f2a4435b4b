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
