namespace Microsoft.ML.Dpl;

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
