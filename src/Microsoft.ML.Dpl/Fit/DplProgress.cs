namespace Microsoft.ML.Dpl;

/// <summary>What an epoch came to.</summary>
/// <param name="TrainLoss">Mean loss of the epoch's training batches, in nats.</param>
/// <param name="ValidationLoss">Mean cross-entropy in nats: of the epoch's validation batches in the search, of all validation rows in
/// training; null without validation rows.</param>
/// <param name="ValidationAccuracy">Share of validation rows classified rightly, 0 to 1; null in the search and without validation
/// rows.</param>
/// <param name="DecidedLayers">Layers of both branches whose choice leads by <c>Search.Margin</c>; null in training.</param>
/// <param name="LargestAlphaChange">The largest change of one alpha in this epoch; null in training.</param>
/// <param name="TextAlphas">[layer][candidate] at the end of the epoch, before the softmax; null in training.</param>
/// <param name="ImageAlphas">The same for the image layers.</param>
public sealed record DplEpochMetrics(
    double TrainLoss,
    double? ValidationLoss,
    double? ValidationAccuracy,
    int? DecidedLayers,
    double? LargestAlphaChange,
    IReadOnlyList<IReadOnlyList<float>>? TextAlphas = null,
    IReadOnlyList<IReadOnlyList<float>>? ImageAlphas = null
);

/// <summary>Where a fit stands after one step.</summary>
/// <param name="Stage">Search or training.</param>
/// <param name="Epoch">From 1.</param>
/// <param name="Epochs">In this stage.</param>
/// <param name="Step">Within the epoch, from 1.</param>
/// <param name="Steps">In an epoch.</param>
/// <param name="LearningRate">Of the prompts.</param>
/// <param name="TrainLoss">Cross-entropy of this step's training batch, in nats, plus distillation if any.</param>
/// <param name="ValidationLoss">Cross-entropy of this step's validation batch; null in training.</param>
/// <param name="ValidationAccuracy">0 to 1, after the last step of a training epoch with validation rows; else null.</param>
/// <param name="Elapsed">Since the stage began.</param>
/// <param name="Remaining">Expected until the stage ends, if it runs all its epochs.</param>
/// <param name="EndedEpoch">The figures of the epoch that this step ended; else null.</param>
public sealed record DplProgress(
    DplStage Stage,
    int Epoch,
    int Epochs,
    int Step,
    int Steps,
    double LearningRate,
    double TrainLoss,
    double? ValidationLoss,
    double? ValidationAccuracy,
    TimeSpan Elapsed,
    TimeSpan Remaining,
    DplEpochMetrics? EndedEpoch = null
)
{
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
        + FormattableString.Invariant($", learning rate {LearningRate:g3}, {(long)Remaining.TotalHours:00}:{Remaining:mm\\:ss} left");
}
