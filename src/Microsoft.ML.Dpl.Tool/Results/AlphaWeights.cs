namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What the alphas of one layer say.</summary>
internal static class AlphaWeights
{
    /// <summary>Softmax of one layer's alphas.</summary>
    /// <param name="alphas">One per candidate.</param>
    /// <returns>One weight per candidate, which sum to 1; not numbers where an alpha is none.</returns>
    public static double[] Softmax(IReadOnlyList<float> alphas)
    {
        ArgumentNullException.ThrowIfNull(alphas);
        double largest = alphas.Max();
        double[] weights = [.. alphas.Select(alpha => Math.Exp(alpha - largest))];
        double sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }

    /// <summary>By how much softmax weight the first candidate leads the second; 0 where there is only one or an alpha is no
    /// number.</summary>
    public static double Lead(IReadOnlyList<float> alphas)
    {
        double[] weights = Softmax(alphas);
        if (weights.Length < 2 || weights.Any(double.IsNaN))
            return 0;
        Array.Sort(weights);
        return weights[^1] - weights[^2];
    }

    /// <summary>Index of the chosen candidate: the largest alpha, the first of equals.</summary>
    public static int Choice(IReadOnlyList<float> alphas)
    {
        ArgumentNullException.ThrowIfNull(alphas);
        int best = 0;
        for (int i = 1; i < alphas.Count; i++)
            if (alphas[i] > alphas[best])
                best = i;
        return best;
    }
}
