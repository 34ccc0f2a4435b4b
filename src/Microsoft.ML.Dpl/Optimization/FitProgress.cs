using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>The metrics of a finished epoch.</summary>
public sealed class EpochMetrics
{
    /// <summary>Mean of the epoch's <see cref="FitProgress.TrainLoss"/>, in nats.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>
    /// Mean cross-entropy in nats: of the epoch's validation batches in the search, of all validation rows in training; null without
    /// validation rows.
    /// </summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Share of validation rows classified correctly, 0 to 1; null in the search and without validation rows.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>
    /// Number of layers of both branches whose choice leads by <see cref="DplTrainer.SearchOptions.Margin"/>; null in training.
    /// </summary>
    public int? DecidedLayers { get; init; }

    /// <summary>The largest change of a single alpha in this epoch; null in training.</summary>
    public double? LargestAlphaChange { get; init; }

    /// <summary>Alphas of the text layers, [layer][candidate], at the end of the epoch, before the softmax; null in training.</summary>
    public IReadOnlyList<IReadOnlyList<float>>? TextAlphas { get; init; }

    /// <summary>Alphas of the image layers, [layer][candidate], at the end of the epoch, before the softmax; null in training.</summary>
    public IReadOnlyList<IReadOnlyList<float>>? ImageAlphas { get; init; }

    /// <summary>The mean loss of the stage's first epoch, the warm-up.</summary>
    internal double FirstTrainLoss { get; init; }

    /// <summary>Trouble in the training losses of the epochs so far.</summary>
    internal LossTrouble Trouble { get; init; }

    /// <summary>Whether the search or the training ends with this epoch.</summary>
    internal bool IsLast { get; init; }
}

/// <summary>The progress of a fit after a step.</summary>
public sealed class FitProgress
{
    /// <summary>Creates a progress report, for example in tests; a fit creates its own.</summary>
    public FitProgress() { }

    /// <summary>A copy in which the initializer can change some members, for observers that add to a report before passing it on.</summary>
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

    /// <summary>The current epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>Number of epochs in this stage.</summary>
    public required int Epochs { get; init; }

    /// <summary>The step within the epoch, from 1.</summary>
    public required int Step { get; init; }

    /// <summary>Number of steps in an epoch.</summary>
    public required int Steps { get; init; }

    /// <summary>Learning rate of the prompts.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Cross-entropy of this step's training batch before the step, in nats, without label smoothing, regularisers and
    /// distillation, so that it can be compared between fits.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>Cross-entropy of this step's validation batch, in nats; null in training.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Validation accuracy, 0 to 1, after the last step of a training epoch with validation rows; otherwise null.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Time since the first step of the stage.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>Expected time until the stage ends if it runs all its epochs; null until the duration of a step is known.</summary>
    public TimeSpan? Remaining { get; init; }

    /// <summary>The metrics of the epoch that this step ended; otherwise null.</summary>
    public EpochMetrics? EndedEpoch { get; init; }

    /// <summary>Completed share of the stage, 0 to 1.</summary>
    public double Fraction => ((Epoch - 1d) * Steps + Step) / ((double)Epochs * Steps);

    /// <summary>Returns one line of readable text: the metrics of the epoch if this step ended one, otherwise those of the step.</summary>
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

    /// <summary>Short trainings of several configurations, which are compared on the validation rows.</summary>
    Comparison,

    /// <summary>Training of prompts of the chosen lengths.</summary>
    Training,
}
