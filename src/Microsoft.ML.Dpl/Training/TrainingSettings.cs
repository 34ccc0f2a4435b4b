using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Training;

/// <summary>How prompts of chosen lengths are trained; the defaults are the paper's.</summary>
internal sealed record TrainingSettings : PromptOptimizerSettings
{
    public TrainingSettings() => Epochs = 40;

    /// <summary>Standard deviation of the initial prompts.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP); 0 leaves it out.</summary>
    public double DistillationWeight { get; init; }

    /// <summary>Epochs without a higher validation accuracy after which training ends, at least 1; null: all epochs are run.</summary>
    public int? Patience { get; init; }

    /// <summary>The same with the epochs counted.</summary>
    /// <param name="batches">Batches in an epoch, at least 1.</param>
    public TrainingSettings Over(int batches) => this with { Epochs = EpochsOf(batches), Steps = null };
}
