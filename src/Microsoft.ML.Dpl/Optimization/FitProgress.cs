using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>What an epoch came to.</summary>
public sealed class EpochMetrics
{
    /// <summary>Mean loss of the epoch's training batches, in nats.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>Mean cross-entropy in nats: of the epoch's validation batches in the search, of all validation rows in training; null
    /// without validation rows.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Share of validation rows classified rightly, 0 to 1; null in the search and without validation rows.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Layers of both branches whose choice leads by <see cref="DplTrainer.SearchOptions.Margin"/>; null in training.</summary>
    public int? DecidedLayers { get; init; }

    /// <summary>The largest change of one alpha in this epoch; null in training.</summary>
    public double? LargestAlphaChange { get; init; }

    /// <summary>[layer][candidate] at the end of the epoch, before the softmax; null in training.</summary>
    public IReadOnlyList<IReadOnlyList<float>>? TextAlphas { get; init; }

    /// <summary>The same for the image layers.</summary>
    public IReadOnlyList<IReadOnlyList<float>>? ImageAlphas { get; init; }

    /// <summary>The mean loss of the stage's first epoch, the warm-up.</summary>
    internal double FirstTrainLoss { get; init; }

    /// <summary>What is wrong with the training losses of the epochs so far.</summary>
    internal LossTrouble Trouble { get; init; }
}

/// <summary>Where a fit stands after one step.</summary>
public sealed class FitProgress
{
    /// <summary>Where a fit stands, as its members say; a fit makes them itself.</summary>
    public FitProgress() { }

    /// <summary>The same, of which the initializer changes some members: an observer's addition on the way to the caller.</summary>
    [SetsRequiredMembers]
    internal FitProgress(FitProgress other)
    {
        (Stage, Epoch, Epochs, Step, Steps) = (other.Stage, other.Epoch, other.Epochs, other.Step, other.Steps);
        (LearningRate, TrainLoss) = (other.LearningRate, other.TrainLoss);
        (ValidationLoss, ValidationAccuracy) = (other.ValidationLoss, other.ValidationAccuracy);
        (Elapsed, Remaining, EndedEpoch) = (other.Elapsed, other.Remaining, other.EndedEpoch);
    }

    /// <summary>Search or training.</summary>
    public required FitStage Stage { get; init; }

    /// <summary>From 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>In this stage.</summary>
    public required int Epochs { get; init; }

    /// <summary>Within the epoch, from 1.</summary>
    public required int Step { get; init; }

    /// <summary>In an epoch.</summary>
    public required int Steps { get; init; }

    /// <summary>Of the prompts.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Cross-entropy of this step's training batch, in nats, plus distillation if any.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>Cross-entropy of this step's validation batch; null in training.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>0 to 1, after the last step of a training epoch with validation rows; else null.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Since the stage began.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>Expected until the stage ends, if it runs all its epochs; null until a step's time is known.</summary>
    public TimeSpan? Remaining { get; init; }

    /// <summary>The figures of the epoch that this step ended; else null.</summary>
    public EpochMetrics? EndedEpoch { get; init; }

    /// <summary>Share of the stage that is done, 0 to 1.</summary>
    public double Fraction => ((Epoch - 1d) * Steps + Step) / ((double)Epochs * Steps);

    /// <summary>One line for people: the epoch's figures where a step ends one, else the step's.</summary>
    public override string ToString() =>
        FormattableString.Invariant(
            $"{Stage} epoch {Epoch}/{Epochs} step {Step}/{Steps}: train loss {EndedEpoch?.TrainLoss ?? TrainLoss:f3}"
        )
        + ((EndedEpoch?.ValidationLoss ?? ValidationLoss) is double loss ? FormattableString.Invariant($", validation loss {loss:f3}") : "")
        + (ValidationAccuracy is double accuracy ? FormattableString.Invariant($", validation accuracy {accuracy:p1}") : "")
        + (
            EndedEpoch?.DecidedLayers is int decided
                ? FormattableString.Invariant($", {decided} layers decided, largest change of alpha {EndedEpoch.LargestAlphaChange:g2}")
                : ""
        )
        + FormattableString.Invariant($", learning rate {LearningRate:g3}")
        + (Remaining is { } left ? FormattableString.Invariant($", {(long)left.TotalHours:00}:{left:mm\\:ss} left") : "");
}

/// <summary>The stages of a fit.</summary>
public enum FitStage
{
    /// <summary>Bilevel search of the prompt lengths.</summary>
    Search,

    /// <summary>Short trainings of several configurations, which validation compares.</summary>
    Comparison,

    /// <summary>Training of prompts of the chosen lengths.</summary>
    Training,
}
