using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl;

/// <summary>The course of a search: the alphas of both branches at the end of every epoch.</summary>
/// <param name="CandidateLengths">Candidate context lengths, increasing from 0.</param>
/// <param name="Epochs">The first epoch first.</param>
public sealed record DplSearchReport(IReadOnlyList<int> CandidateLengths, IReadOnlyList<DplSearchEpoch> Epochs)
{
    /// <summary>How sure the search is of each text layer: the softmax weight of the chosen candidate, 1 / candidates to 1.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> TextConfidence => Confidence(Epochs[^1].TextAlphas);

    /// <summary>How sure the search is of each image layer, likewise.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> ImageConfidence => Confidence(Epochs[^1].ImageAlphas);

    private static double[] Confidence(IReadOnlyList<IReadOnlyList<float>> alphas) =>
        [.. alphas.Select(layer => 1 / layer.Sum(alpha => Math.Exp(alpha - (double)layer.Max())))];
}

/// <summary>One epoch of a search.</summary>
/// <param name="LearningRate">Of the prompts.</param>
/// <param name="TrainLoss">Mean cross-entropy of the training batches, in nats.</param>
/// <param name="ValidationLoss">Mean cross-entropy of the validation batches, in nats.</param>
/// <param name="TextAlphas">[layer][candidate], before the softmax</param>
/// <param name="ImageAlphas">[layer][candidate], before the softmax</param>
public sealed record DplSearchEpoch(
    double LearningRate,
    double TrainLoss,
    double ValidationLoss,
    IReadOnlyList<IReadOnlyList<float>> TextAlphas,
    IReadOnlyList<IReadOnlyList<float>> ImageAlphas
);
