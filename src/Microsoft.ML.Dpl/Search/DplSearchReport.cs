using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl;

/// <summary>The course of a search: the alphas of both branches at the end of every epoch.</summary>
/// <param name="CandidateLengths">Candidate prompt lengths, increasing from 0.</param>
/// <param name="Epochs">The first epoch first.</param>
public sealed record DplSearchReport(IReadOnlyList<int> CandidateLengths, IReadOnlyList<DplSearchEpoch> Epochs)
{
    /// <summary>How sure the search is of each text layer: the softmax weight of the chosen candidate, 1 / candidates to 1.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> TextConfidence => [.. Epochs[^1].TextAlphas.Select(AlphaWeights.Confidence)];

    /// <summary>How sure the search is of each image layer, likewise.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> ImageConfidence => [.. Epochs[^1].ImageAlphas.Select(AlphaWeights.Confidence)];

    /// <summary>What the search chose.</summary>
    internal PromptConfiguration Configuration => PromptConfiguration.FromAlphas(CandidateLengths, Epochs[^1].Alphas);
}

/// <summary>One epoch of a search.</summary>
/// <param name="LearningRate">The prompts' learning rate.</param>
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
)
{
    /// <summary>The alphas of both branches.</summary>
    internal BranchPair<IReadOnlyList<IReadOnlyList<float>>> Alphas => new(TextAlphas, ImageAlphas);
}

/// <summary>What <see cref="DplTrainer.Search"/> found.</summary>
/// <param name="Configuration">The prompt lengths; set them as <see cref="DplTrainer.Options.Configuration"/> to train with them.</param>
/// <param name="Report">The alphas that led to them.</param>
/// <param name="WasCancelled">Whether the search was cut short, and this is the choice after its last whole epoch; see
/// <see cref="DplInterruption.ReturnBest"/>.</param>
/// <param name="HasDiverged">Whether the search's numbers went wrong, and this is the choice after its last good epoch; see
/// <see cref="DplInterruption.ReturnBest"/>.</param>
public sealed record DplSearchOutcome(PromptConfiguration Configuration, DplSearchReport Report, bool WasCancelled, bool HasDiverged);
