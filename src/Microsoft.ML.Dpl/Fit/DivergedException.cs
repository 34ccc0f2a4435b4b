using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>A fit ended because its loss or a gradient became infinite or not a number. The message names the rows of the batch, the likely
/// cause and what to do.</summary>
public sealed class DivergedException : InvalidOperationException
{
    internal DivergedException(FitDivergence divergence, NonFiniteValueException cause)
        : base(divergence.Message, cause)
    {
        (Stage, Epoch, Step, IsInValidationSet) = (divergence.Stage, divergence.Epoch, divergence.Step, divergence.IsInValidationSet);
        Rows = [.. divergence.Batch.Select(image => image.Row)];
    }

    /// <summary>Search or training.</summary>
    public FitStage Stage { get; }

    /// <summary>From 1.</summary>
    public int Epoch { get; }

    /// <summary>Within the epoch, from 1.</summary>
    public int Step { get; }

    /// <summary>The rows of the batch, counted from 0; empty where it is no matter of one batch.</summary>
    public IReadOnlyList<long> Rows { get; }

    /// <summary>Whether <see cref="Rows"/> are counted in <see cref="DplTrainer.ValidationOptions.Set"/> instead of the training
    /// data.</summary>
    public bool IsInValidationSet { get; }
}

/// <summary>What a fit does that does not come to its end: one that is cancelled, see <see cref="DplTrainer.Options.OnCancel"/>, or whose
/// loss or gradients become infinite or not a number, see <see cref="DplTrainer.Options.OnDivergence"/>.</summary>
public enum InterruptionBehavior
{
    /// <summary>It throws <see cref="OperationCanceledException"/> or <see cref="DivergedException"/>.</summary>
    Throw,

    /// <summary>
    /// It returns the best so far. In training: the prompts of the best validation epoch, or without validation rows the present ones,
    /// after a divergence those of the latest epoch that a finite loss was computed with. In the search, and until an epoch of training has
    /// ended: the choice of the last such epoch of the search, with the prompts that the search itself has for it; these were learnt in the
    /// mixture and not trained alone, and their validation accuracy is not measured. Where there is nothing to return, it throws.
    /// A divergence is also warned of in the log.
    /// </summary>
    ReturnBest,
}
