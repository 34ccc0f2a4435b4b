using System.Text.Json.Serialization;
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

    /// <summary>What is done beside the cross-entropy; null: nothing.</summary>
    public ObjectiveSettings? Objective { get; init; }

    /// <summary>The same with the distillation.</summary>
    [JsonIgnore]
    public ObjectiveSettings Beside =>
        (Objective ?? new ObjectiveSettings()) is var beside && DistillationWeight > 0
            ? beside with
            {
                Regularizers = [.. beside.Regularizers, new DistillationLoss(DistillationWeight)],
            }
            : beside;

    /// <summary>How the prompts of the epochs are averaged; null: the last ones, or those of the best epoch, are the result.</summary>
    [JsonIgnore]
    public EpochWeights? Average { get; init; }

    /// <summary>The same with all its values, for the fingerprint.</summary>
    [JsonPropertyName("Average")]
    public object? AverageValues => Average;

    /// <summary>Epochs without a higher validation accuracy after which training ends, at least 1; null: all epochs are run.</summary>
    public int? Patience { get; init; }

    /// <summary>The same with the epochs counted.</summary>
    /// <param name="batches">Batches in an epoch, at least 1.</param>
    public TrainingSettings Over(int batches) => this with { Epochs = EpochsOf(batches), Steps = null };
}
