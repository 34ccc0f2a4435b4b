using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Search;

/// <summary>What alphas mean: the softmax weights of a layer's candidates, the candidate they choose, and how decided that choice
/// is.</summary>
internal static class AlphaWeights
{
    /// <summary>The weight of each candidate in the mixture.</summary>
    /// <param name="alphas">The alphas of one layer, one per candidate.</param>
    /// <returns>One weight per candidate, 0 to 1, which sum to 1; all NaN where an alpha is not finite.</returns>
    public static double[] Softmax(IReadOnlyList<float> alphas)
    {
        double[] exponentials = Exponentials(alphas);
        double sum = exponentials.Sum();
        return [.. exponentials.Select(exponential => exponential / sum)];
    }

    /// <summary>The index of the candidate with the largest alpha, the first of equals.</summary>
    /// <param name="alphas">The alphas of one layer, one per candidate.</param>
    public static int Choice(IReadOnlyList<float> alphas) => Enumerable.Range(0, alphas.Count).MaxBy(candidate => alphas[candidate]);

    /// <summary>The weight of the chosen candidate, 1 / candidates to 1.</summary>
    /// <param name="alphas">The alphas of one layer, one per candidate.</param>
    public static double Confidence(IReadOnlyList<float> alphas) => Softmax(alphas).Max();

    /// <summary>The weight of the chosen candidate minus that of the runner-up, 0 to 1.</summary>
    /// <param name="alphas">The alphas of one layer, one per candidate, at least 2.</param>
    public static double Lead(IReadOnlyList<float> alphas)
    {
        double[] exponentials = [.. Exponentials(alphas).OrderDescending()];
        return (exponentials[0] - exponentials[1]) / exponentials.Sum();
    }

    /// <summary>The lead of every layer, text layers first.</summary>
    /// <param name="alphas">[layer][candidate] of each branch.</param>
    public static IEnumerable<double> Leads(BranchPair<IReadOnlyList<IReadOnlyList<float>>> alphas) => Layers(alphas).Select(Lead);

    /// <summary>The largest difference between one alpha before and after.</summary>
    /// <param name="before">[layer][candidate] of each branch.</param>
    /// <param name="after">Alphas of the same shape.</param>
    public static double LargestChange(
        BranchPair<IReadOnlyList<IReadOnlyList<float>>> before,
        BranchPair<IReadOnlyList<IReadOnlyList<float>>> after
    ) =>
        Layers(before)
            .Zip(Layers(after))
            .SelectMany(layer => layer.First.Zip(layer.Second))
            .Max(alpha => Math.Abs((double)alpha.First - alpha.Second));

    /// <summary>exp(alpha − the largest alpha), which cannot overflow.</summary>
    private static double[] Exponentials(IReadOnlyList<float> alphas)
    {
        double largest = alphas.Max();
        return [.. alphas.Select(alpha => Math.Exp(alpha - largest))];
    }

    private static IEnumerable<IReadOnlyList<float>> Layers(BranchPair<IReadOnlyList<IReadOnlyList<float>>> alphas) =>
        alphas.Text.Concat(alphas.Image);
}
