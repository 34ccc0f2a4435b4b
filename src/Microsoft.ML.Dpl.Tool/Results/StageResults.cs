using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The epochs of a search as results.json keeps them. Other programs read that file, so unlike <see cref="SearchReport"/> it also
/// has what follows from the run's margin, and its names stay when the library's change.</summary>
/// <param name="CandidateLengths">Candidate prompt lengths, increasing from 0.</param>
/// <param name="Margin">Lead in softmax weight, 0 to 1, from which a layer's choice counts as decided.</param>
/// <param name="Epochs">In the order in which they ran.</param>
internal sealed record SearchResults(IReadOnlyList<int> CandidateLengths, double Margin, IReadOnlyList<SearchEpochResults> Epochs)
{
    /// <summary>Converts the library's report; decided layers and changes are computed from the alphas.</summary>
    /// <param name="report">The report of a transformer or of a search without training.</param>
    /// <param name="margin">The run's <c>Search.Margin</c>.</param>
    public static SearchResults From(SearchReport report, double margin)
    {
        ArgumentNullException.ThrowIfNull(report);
        var epochs = new List<SearchEpochResults>();
        SearchEpoch? before = null;
        foreach (SearchEpoch epoch in report.Epochs)
        {
            int decided = AlphaWeights.Leads(Layers(epoch)).Count(lead => lead >= margin);
            double? change = before is null ? null : AlphaWeights.LargestChange(Layers(before), Layers(epoch));
            epochs.Add(
                new SearchEpochResults(
                    epoch.LearningRate,
                    epoch.TrainLoss,
                    epoch.ValidationLoss,
                    epoch.TextAlphas,
                    epoch.ImageAlphas,
                    decided,
                    change
                )
            );
            before = epoch;
        }
        return new SearchResults(report.CandidateLengths, margin, epochs);
    }

    private static IEnumerable<IReadOnlyList<float>> Layers(SearchEpoch epoch) => epoch.TextAlphas.Concat(epoch.ImageAlphas);
}

/// <summary>One epoch of a search: a <see cref="SearchEpoch"/> and what follows from the margin.</summary>
/// <param name="LearningRate">Learning rate of the prompts.</param>
/// <param name="TrainLoss">Mean cross-entropy of the training batches, in nats.</param>
/// <param name="ValidationLoss">Mean cross-entropy of the validation batches, in nats.</param>
/// <param name="TextAlphas">[layer][candidate], before the softmax.</param>
/// <param name="ImageAlphas">[layer][candidate], before the softmax.</param>
/// <param name="DecidedLayers">Layers of both branches whose choice leads by the margin.</param>
/// <param name="LargestAlphaChange">The largest change of one alpha since the previous epoch; null if that is not known.</param>
internal sealed record SearchEpochResults(
    double LearningRate,
    double TrainLoss,
    double ValidationLoss,
    IReadOnlyList<IReadOnlyList<float>> TextAlphas,
    IReadOnlyList<IReadOnlyList<float>> ImageAlphas,
    int DecidedLayers,
    double? LargestAlphaChange
);

/// <summary>The epochs of the training as results.json keeps them.</summary>
/// <param name="Epochs">In the order in which they ran.</param>
/// <param name="ValidationAccuracy">Validation accuracy of the prompts that were kept, 0 to 1; null without validation rows.</param>
internal sealed record TrainingResults(IReadOnlyList<TrainingEpochResults> Epochs, double? ValidationAccuracy);

/// <summary>One epoch of training.</summary>
/// <param name="LearningRate">Learning rate of the prompts.</param>
/// <param name="TrainLoss">Mean loss of the training batches, in nats.</param>
/// <param name="ValidationLoss">Mean cross-entropy of all validation rows, in nats; null without them.</param>
/// <param name="ValidationAccuracy">Share of validation rows classified correctly, 0 to 1; null without them.</param>
/// <param name="Epoch">One-based number of the epoch; a run that resumed from a checkpoint starts later than 1. Null in older files, where
/// the position counts.</param>
internal sealed record TrainingEpochResults(
    double LearningRate,
    double TrainLoss,
    double? ValidationLoss,
    double? ValidationAccuracy,
    int? Epoch = null
);
