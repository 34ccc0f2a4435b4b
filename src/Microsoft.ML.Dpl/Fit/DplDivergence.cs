namespace Microsoft.ML.Dpl;

/// <summary>What a fit does whose loss or gradients become infinite or not a number.</summary>
public enum DplDivergence
{
    /// <summary>It throws <see cref="DplDivergedException"/>.</summary>
    Throw,

    /// <summary>
    /// It warns in the log and returns the best it had. In training: the prompts of the best validation epoch, or without validation rows
    /// those of the latest epoch that a finite loss was computed with. In the search, and where no epoch of training is left: the choice of
    /// the latest such epoch of the search, with the prompts that the search had for it. Where nothing is left, it throws
    /// <see cref="DplDivergedException"/>.
    /// </summary>
    ReturnBest,
}
