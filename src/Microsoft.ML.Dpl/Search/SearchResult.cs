using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Search;

/// <summary>One epoch of the search.</summary>
/// <param name="LearningRate">Of the prompts.</param>
/// <param name="TrainLoss">Mean over the epoch's training batches.</param>
/// <param name="ValidationLoss">Mean over the epoch's validation batches.</param>
/// <param name="Alphas">At the end of the epoch.</param>
internal sealed record SearchEpoch(double LearningRate, double TrainLoss, double ValidationLoss, Alphas Alphas);

/// <summary>What the search found.</summary>
/// <param name="Candidates">Candidate context lengths.</param>
/// <param name="Epochs">The whole course.</param>
internal sealed record SearchResult(IReadOnlyList<int> Candidates, IReadOnlyList<SearchEpoch> Epochs)
{
    /// <summary>The candidate with the largest alpha for each layer, the shorter of equals.</summary>
    [JsonIgnore]
    public PromptConfiguration Lengths => new(Chosen(Epochs[^1].Alphas.Text), Chosen(Epochs[^1].Alphas.Image));

    public DplSearchReport ToReport() =>
        new(
            Candidates,
            [.. Epochs.Select(e => new DplSearchEpoch(e.LearningRate, e.TrainLoss, e.ValidationLoss, e.Alphas.Text, e.Alphas.Image))]
        );

    private int[] Chosen(float[][] alphas) => [.. alphas.Select(layer => Candidates[Alphas.ChoiceOf(layer)])];
}
