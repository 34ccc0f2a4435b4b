using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Training;

/// <summary>Settings for training prompts of chosen lengths; the defaults are the paper's.</summary>
internal sealed record TrainingSettings : PromptOptimizerSettings
{
    public TrainingSettings() => Epochs = 40;

    /// <summary>Standard deviation of the initial prompts.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP); 0: no distillation.</summary>
    public double DistillationWeight { get; init; }

    /// <summary>Changes and additions to the cross-entropy; null: none.</summary>
    public ObjectiveSettings? Objective { get; init; }

    /// <summary>The objective including the distillation.</summary>
    [JsonIgnore]
    public ObjectiveSettings Beside =>
        (Objective ?? new ObjectiveSettings()) is var beside && DistillationWeight > 0
            ? beside with
            {
                Regularizers = [.. beside.Regularizers, new DistillationLoss(DistillationWeight)],
            }
            : beside;

    /// <summary>
    /// How the prompts of the epochs are averaged; null: the result is the prompts of the last epoch, or of the best one.
    /// </summary>
    [JsonIgnore]
    public EpochWeights? Average { get; init; }

    /// <summary>The average with all its values, serialised for the fingerprint.</summary>
    [JsonPropertyName("Average")]
    public object? AverageValues => Average;

    /// <summary>
    /// Number of epochs without a higher validation accuracy after which training ends, at least 1; null: all epochs are run.
    /// </summary>
    public int? Patience { get; init; }

    /// <summary>The same settings with the number of steps converted to epochs.</summary>
    /// <param name="batches">Batches per epoch, at least 1.</param>
    public TrainingSettings Over(int batches) => this with { Epochs = EpochsOf(batches), Steps = null };
}
