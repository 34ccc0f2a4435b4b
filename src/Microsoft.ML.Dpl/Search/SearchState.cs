using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The progress of a search, apart from its tensors.</summary>
internal sealed class SearchState : StageState<SearchEpoch>
{
    /// <summary>How CLIP without prompts does on the training images; null if the recipe does not need it.</summary>
    public ZeroShotStart? ZeroShot { get; set; }

    /// <summary>Sum of the validation losses of the steps taken in the current epoch.</summary>
    public double ValidationLoss { get; set; }

    /// <exception cref="JsonException">The text is not what <see cref="StageState{TEpoch}.ToJson"/> writes.</exception>
    public static SearchState FromJson(string json) => Read<SearchState>(json);

    /// <summary>Counts one step.</summary>
    public void Add(double trainLoss, double validationLoss)
    {
        Step++;
        TrainLoss += trainLoss;
        ValidationLoss += validationLoss;
    }

    /// <summary>Ends the current epoch and adds it to the finished ones.</summary>
    /// <param name="learningRate">The prompts' learning rate in this epoch.</param>
    /// <param name="alphas">[layer][candidate] of each branch at the end of the epoch.</param>
    public SearchEpoch EndEpoch(double learningRate, BranchPair<IReadOnlyList<IReadOnlyList<float>>> alphas)
    {
        SearchEpoch epoch = EndEpoch(new SearchEpoch(learningRate, TrainLoss / Step, ValidationLoss / Step, alphas.Text, alphas.Image));
        ValidationLoss = 0;
        return epoch;
    }

    /// <summary>Why the search is over, for the log; null while it is not.</summary>
    public string? ReasonToEnd(SearchSettings settings) =>
        ReasonToEnd(settings.Epochs, settings.Patience, patience => ReasonToStop(settings, patience));

    protected override double TrainLossOf(SearchEpoch epoch) => epoch.TrainLoss;

    private string? ReasonToStop(SearchSettings settings, int patience)
    {
        PromptConfiguration Choice(SearchEpoch epoch) => PromptConfiguration.FromAlphas(settings.Candidates, epoch.Alphas);
        if (Epochs.Count <= patience || Epochs.TakeLast(patience + 1).Select(Choice).Distinct().Count() > 1)
            return null;
        double least = AlphaWeights.Leads(Epochs[^1].Layers).Min();
        return least < settings.Margin
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"no layer's choice has changed for {patience} epochs and every choice leads by {least:g2} or more, so the search "
                    + $"ended after {Epochs.Count} of {settings.Epochs} epochs"
            );
    }
}
