namespace Microsoft.ML.Dpl;

/// <summary>The two stages of a fit.</summary>
public enum DplStage
{
    /// <summary>Bilevel search of the context lengths.</summary>
    Search,

    /// <summary>Training of prompts of the chosen lengths.</summary>
    Training,
}

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
/// <param name="Remaining">Expected until the stage ends.</param>
public sealed record DplProgress(
    DplStage Stage, int Epoch, int Epochs, int Step, int Steps, double LearningRate,
    double TrainLoss, double? ValidationLoss, double? ValidationAccuracy, TimeSpan Elapsed, TimeSpan Remaining)
{
    /// <summary>Share of the stage that is done, 0 to 1.</summary>
    public double Fraction => ((Epoch - 1d) * Steps + Step) / ((double)Epochs * Steps);

    /// <inheritdoc/>
    public override string ToString()
        => FormattableString.Invariant($"{Stage} epoch {Epoch}/{Epochs} step {Step}/{Steps}: train loss {TrainLoss:f3}")
            + (ValidationLoss is double loss ? FormattableString.Invariant($", validation loss {loss:f3}") : "")
            + (ValidationAccuracy is double accuracy ? FormattableString.Invariant($", validation accuracy {accuracy:p1}") : "")
            + FormattableString.Invariant($", learning rate {LearningRate:g3}, {Remaining:hh\\:mm\\:ss} left");
}
