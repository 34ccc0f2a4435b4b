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
