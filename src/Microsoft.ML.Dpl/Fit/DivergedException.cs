using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>A fit ended because its loss or a gradient became infinite or NaN. The message names the rows of the batch, the likely
/// cause and what to do.</summary>
public sealed class DivergedException : InvalidOperationException
{
    internal DivergedException(FitDivergence divergence, NonFiniteValueException cause)
        : base(divergence.Message, cause)
    {
        (Stage, Epoch, Step, IsInValidationSet) = (divergence.Stage, divergence.Epoch, divergence.Step, divergence.IsInValidationSet);
        Rows = [.. divergence.Batch.Select(image => image.Row)];
    }

    /// <summary>The stage that diverged: search or training.</summary>
    public FitStage Stage { get; }

    /// <summary>The epoch, from 1.</summary>
    public int Epoch { get; }

    /// <summary>The step within the epoch, from 1.</summary>
    public int Step { get; }

    /// <summary>The rows of the step's batch, counted from 0; empty if no single batch is involved. A refit's batch may mix training rows
    /// and rows of <see cref="DplTrainer.ValidationOptions.Set"/>: these are then the training rows, and the message names all.</summary>
    public IReadOnlyList<long> Rows { get; }

    /// <summary>Whether <see cref="Rows"/> refer to <see cref="DplTrainer.ValidationOptions.Set"/> instead of the training
    /// data.</summary>
    public bool IsInValidationSet { get; }
}

/// <summary>What an interrupted fit does: one that is cancelled (<see cref="DplTrainer.Options.OnCancel"/>), or whose loss or gradients
/// become infinite or NaN (<see cref="DplTrainer.Options.OnDivergence"/>).</summary>
public enum InterruptionBehavior
{
    /// <summary>The fit throws <see cref="OperationCanceledException"/> or <see cref="DivergedException"/>.</summary>
    Throw,

    /// <summary>
    /// The fit returns its best model so far. In training: the prompts of the best validation epoch or, without validation rows, the
    /// current ones; after a divergence, those of the latest epoch for which a finite loss was computed. In the search, and before the
    /// first epoch of training has ended: the choice after the last complete epoch of the search (after a divergence, the last good
    /// one), with the prompts of the search for that choice; these were learnt in the mixture and not trained alone, and their
    /// validation accuracy is not measured. If there is nothing to return, the fit throws. A divergence is also logged as a warning.
    /// </summary>
    ReturnBest,
}
