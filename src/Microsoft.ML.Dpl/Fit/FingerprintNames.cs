namespace Microsoft.ML.Dpl.Fit;

/// <summary>What a fingerprint's settings are called among the trainer's options: fingerprints in checkpoints keep the engine's
/// names.</summary>
internal static class FingerprintNames
{
    private static readonly Dictionary<string, string> Options = new(StringComparer.Ordinal)
    {
        ["SearchAlphaLearningRate"] = "Search.AlphaLearningRate",
        ["SearchCandidates"] = "Search.CandidateLengths",
        ["SearchEpochs"] = "Search.Epochs",
        ["SearchMargin"] = "Search.Margin",
        ["SearchMaxGradientNorm"] = "Training.MaxGradientNorm",
        ["SearchMomentum"] = "Training.Momentum",
        ["SearchPatience"] = "Search.Patience",
        ["SearchLearningRate"] = "Search.LearningRate",
        ["SearchWeightDecay"] = "Training.WeightDecay",
        ["TrainingDistillationWeight"] = "Training.DistillationWeight",
        ["TrainingEpochs"] = "Training.Epochs",
        ["TrainingLearningRate"] = "Training.LearningRate",
        ["TrainingMaxGradientNorm"] = "Training.MaxGradientNorm",
        ["TrainingMomentum"] = "Training.Momentum",
        ["TrainingPatience"] = "Training.Patience",
        ["TrainingWeightDecay"] = "Training.WeightDecay",
        ["Augment"] = "Training.Augment",
        ["BatchSize"] = "Training.BatchSize",
        ["Precision"] = "Compute.Precision",
        ["PredictionBatchSize"] = "Compute.PredictionBatchSize",
    };

    /// <summary>The option's name, or the setting's own where it is not an option as it stands.</summary>
    public static string Shown(string setting) => Options.GetValueOrDefault(setting, setting);
}
