namespace Microsoft.ML.Dpl.Data;

/// <summary>How much each row's loss counts.</summary>
internal static class LossWeights
{
    /// <summary>
    /// Scales weights to a mean of 1 over all rows. The mean of weight · loss over a batch then estimates the weighted mean over all rows without bias, whatever the batch size,
    /// and a learning rate means the same with weights as without.
    /// </summary>
    /// <param name="weights">Above 0 and finite, one per row.</param>
    /// <returns>Null where all rows weigh alike.</returns>
    public static float[]? Scale(IReadOnlyList<double> weights)
    {
        if (weights.Count == 0 || weights.All(weight => weight == weights[0])) return null;
        double mean = weights.Average();
        return [.. weights.Select(weight => (float)(weight / mean))];
    }
}
