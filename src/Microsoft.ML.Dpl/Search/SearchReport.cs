using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl;

/// <summary>The course of a search: losses and the alphas of both branches at the end of every epoch.</summary>
public sealed record SearchReport
{
    [JsonConstructor]
    internal SearchReport(IReadOnlyList<int> candidateLengths, IReadOnlyList<SearchEpoch> epochs) =>
        (CandidateLengths, Epochs) = (candidateLengths, epochs);

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> CandidateLengths { get; }

    /// <summary>The epochs in order.</summary>
    public IReadOnlyList<SearchEpoch> Epochs { get; }

    /// <summary>Confidence of the choice for each text layer: the softmax weight of the chosen candidate, 1 / candidates to 1.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> TextConfidence => [.. Epochs[^1].TextAlphas.Select(AlphaWeights.Confidence)];

    /// <summary>Confidence of the choice for each image layer: the softmax weight of the chosen candidate, 1 / candidates to 1.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> ImageConfidence => [.. Epochs[^1].ImageAlphas.Select(AlphaWeights.Confidence)];

    /// <summary>The configuration that the search chose.</summary>
    internal PromptConfiguration Configuration => PromptConfiguration.FromAlphas(CandidateLengths, Epochs[^1].Alphas);
}

/// <summary>One epoch of a search.</summary>
public sealed record SearchEpoch
{
    [JsonConstructor]
    internal SearchEpoch(
        double learningRate,
        double trainLoss,
        double validationLoss,
        IReadOnlyList<IReadOnlyList<float>> textAlphas,
        IReadOnlyList<IReadOnlyList<float>> imageAlphas
    )
    {
        (LearningRate, TrainLoss, ValidationLoss) = (learningRate, trainLoss, validationLoss);
        (TextAlphas, ImageAlphas) = (textAlphas, imageAlphas);
    }

    /// <summary>The prompts' learning rate.</summary>
    public double LearningRate { get; }

    /// <summary>Mean cross-entropy of the training batches, in nats.</summary>
    public double TrainLoss { get; }

    /// <summary>Mean cross-entropy of the validation batches, in nats.</summary>
    public double ValidationLoss { get; }

    /// <summary>Alphas of the text tower, [layer][candidate], before the softmax.</summary>
    public IReadOnlyList<IReadOnlyList<float>> TextAlphas { get; }

    /// <summary>Alphas of the image tower, [layer][candidate], before the softmax.</summary>
    public IReadOnlyList<IReadOnlyList<float>> ImageAlphas { get; }

    /// <summary>The alphas of both branches.</summary>
    internal BranchPair<IReadOnlyList<IReadOnlyList<float>>> Alphas => new(TextAlphas, ImageAlphas);

    /// <summary>The alphas of all layers, those of the text tower first.</summary>
    internal IEnumerable<IReadOnlyList<float>> Layers => TextAlphas.Concat(ImageAlphas);
}

/// <summary>The result of <see cref="DplTrainer.Search"/>.</summary>
public sealed record SearchOutcome
{
    internal SearchOutcome(SearchReport report, bool wasCancelled, bool hasDiverged) =>
        (Configuration, Report, WasCancelled, HasDiverged) = (report.Configuration, report, wasCancelled, hasDiverged);

    /// <summary>The prompt lengths; set them as <see cref="DplTrainer.Options.Configuration"/> to train with them.</summary>
    public PromptConfiguration Configuration { get; }

    /// <summary>The alphas from which the lengths were chosen.</summary>
    public SearchReport Report { get; }

    /// <summary>
    /// Whether the search was cancelled, and the configuration is the choice after its last complete epoch; see
    /// <see cref="InterruptionBehavior.ReturnBest"/>.
    /// </summary>
    public bool WasCancelled { get; }

    /// <summary>
    /// Whether the search produced infinite or NaN values, and the configuration is the choice after its last good epoch; see
    /// <see cref="InterruptionBehavior.ReturnBest"/>.
    /// </summary>
    public bool HasDiverged { get; }
}

/// <summary>The result of one configuration in the short training that compared it to others.</summary>
public sealed record Finalist
{
    /// <summary>The prompt lengths; for a mixture, the candidate with the largest weight in each layer.</summary>
    public required PromptConfiguration Configuration { get; init; }

    /// <summary>Whether this is the searched mixture of all candidates, see <see cref="SearchResult.Mixture"/>.</summary>
    public bool IsMixture { get; init; }

    /// <summary>Mean cross-entropy of the validation rows in nats; the finalist with the lowest value was trained.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>Fraction of the validation rows that are classified correctly, 0 to 1.</summary>
    public required double ValidationAccuracy { get; init; }

    /// <summary>Mean loss of the training batches of the last epoch, in nats.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>The compared configuration as shown in a log.</summary>
    public override string ToString() => IsMixture ? "the searched mixture" : Configuration.ToString();
}

/// <summary>Which result of the search a fit trains.</summary>
public enum SearchResult
{
    /// <summary>In each layer the candidate with the largest alpha, trained from newly initialised prompts.</summary>
    Lengths,

    /// <summary>The searched mixture itself: every layer keeps all candidates with the weights that their alphas ended with, and the
    /// training of their prompts continues. A prediction costs as much as with fixed prompts of as many rows; see
    /// <see cref="TrainedMixture"/>.</summary>
    Mixture,
}
