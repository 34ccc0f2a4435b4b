namespace Microsoft.ML.Dpl;

/// <summary>What a cancelled fit does.</summary>
public enum DplCancellation
{
    /// <summary>It throws <see cref="OperationCanceledException"/>.</summary>
    Throw,

    /// <summary>
    /// It returns the best so far. In training: the prompts of the best validation epoch, or the present ones without validation rows. In
    /// the search, and until the first epoch of training has ended: the choice of the last whole epoch of the search, with the prompts that
    /// the search itself has for it; these were learnt in the mixture and not trained alone, and their validation accuracy is not measured.
    /// Cancelled before any epoch has ended, it throws <see cref="OperationCanceledException"/>.
    /// </summary>
    ReturnBest,
}
