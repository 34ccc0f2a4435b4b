namespace Microsoft.ML.Dpl.Search;

/// <summary>
/// Interprets alphas: the softmax weights of a layer's candidates, the candidate they choose, and how decided that choice is. The tool
/// compiles this file too.
/// </summary>
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

    /// <summary>The weight of the chosen candidate minus that of the runner-up, 0 to 1; 0 where there is only one.</summary>
    /// <param name="alphas">The alphas of one layer, one per candidate.</param>
    public static double Lead(IReadOnlyList<float> alphas)
    {
        double[] exponentials = [.. Exponentials(alphas).OrderDescending()];
        return exponentials.Length < 2 ? 0 : (exponentials[0] - exponentials[1]) / exponentials.Sum();
    }

    /// <summary>The <see cref="Lead"/> of every layer.</summary>
    /// <param name="layers">[layer][candidate], the layers of both branches.</param>
    public static IEnumerable<double> Leads(IEnumerable<IReadOnlyList<float>> layers) => layers.Select(Lead);

    /// <summary>The largest absolute change of a single alpha.</summary>
    /// <param name="before">[layer][candidate], the layers of both branches.</param>
    /// <param name="after">Alphas of the same shape.</param>
    public static double LargestChange(IEnumerable<IReadOnlyList<float>> before, IEnumerable<IReadOnlyList<float>> after) =>
        before.Zip(after).SelectMany(layer => layer.First.Zip(layer.Second)).Max(alpha => Math.Abs((double)alpha.First - alpha.Second));

    /// <summary>exp(alpha − the largest alpha), which cannot overflow.</summary>
    private static double[] Exponentials(IReadOnlyList<float> alphas)
    {
        double largest = alphas.Max();
        return [.. alphas.Select(alpha => Math.Exp(alpha - largest))];
    }
}
