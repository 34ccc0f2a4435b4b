using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Search;

/// <summary>How far a search is, besides its tensors: the epochs that ended, and the sums of the one under way.</summary>
internal sealed class SearchCourse
{
    /// <summary>The epochs that ended.</summary>
    public List<DplSearchEpoch> Epochs { get; init; } = [];

    /// <summary>Steps taken in the epoch under way; 0 between epochs.</summary>
    public int Step { get; set; }

    /// <summary>Sum of the training losses of these steps.</summary>
    public double TrainLoss { get; set; }

    /// <summary>Sum of the validation losses of these steps.</summary>
    public double ValidationLoss { get; set; }

    /// <summary>After how many epochs the values stood that <see cref="GoodValues"/> remembers; 0: it has none.</summary>
    public int GoodEpochs { get; set; }

    /// <summary>Mean training loss of the epoch under way, or else of the one before; null before the first step.</summary>
    public double? RecentLoss() =>
        Step > 0 ? TrainLoss / Step
        : Epochs.Count > 0 ? Epochs[^1].TrainLoss
        : null;

    /// <exception cref="JsonException">The text is not what <see cref="ToJson"/> writes.</exception>
    public static SearchCourse FromJson(string json) =>
        JsonSerializer.Deserialize<SearchCourse>(json, CheckpointFile.Json) ?? new SearchCourse();

    /// <summary>Every number comes back as it was, to the last bit.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, CheckpointFile.Json);

    /// <summary>Counts one step.</summary>
    public void Add(double trainLoss, double validationLoss)
    {
        Step++;
        TrainLoss += trainLoss;
        ValidationLoss += validationLoss;
    }

    /// <summary>Turns the steps taken into an epoch.</summary>
    public DplSearchEpoch EndEpoch(double learningRate, BranchPair<IReadOnlyList<IReadOnlyList<float>>> alphas)
    {
        var epoch = new DplSearchEpoch(learningRate, TrainLoss / Step, ValidationLoss / Step, alphas.Text, alphas.Image);
        Epochs.Add(epoch);
        (Step, TrainLoss, ValidationLoss) = (0, 0, 0);
        return epoch;
    }

    /// <summary>Why the search is over, for the log; null while it is not.</summary>
    public string? ReasonToEnd(SearchSettings settings)
    {
        if (Step > 0)
            return null;
        if (Epochs.Count >= settings.Epochs)
            return $"all {settings.Epochs} epochs were run";
        if (settings.Patience is not int patience || Epochs.Count <= patience)
            return null;
        PromptConfiguration Choice(DplSearchEpoch epoch) => PromptConfiguration.FromAlphas(settings.Candidates, epoch.Alphas);
        if (Epochs.TakeLast(patience + 1).Select(Choice).Distinct().Count() > 1)
            return null;
        double least = AlphaWeights.Leads(Epochs[^1].Alphas).Min();
        return least < settings.Margin
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"no layer's choice has changed for {patience} epochs and every choice leads by {least:g2} or more, so the search "
                    + $"ended after {Epochs.Count} of {settings.Epochs} epochs"
            );
    }
}
