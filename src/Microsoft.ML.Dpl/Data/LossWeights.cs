using System.Globalization;

namespace Microsoft.ML.Dpl.Data;

/// <summary>The weights of rows in the loss.</summary>
internal static class LossWeights
{
    /// <summary>
    /// Inverse frequencies: rows / (classes that have rows · rows of the class), 0 for a class without rows. The mean over the rows is 1.
    /// </summary>
    /// <param name="labels">The class index of each row.</param>
    /// <param name="classes">Number of classes.</param>
    /// <returns>Weights by class index.</returns>
    public static double[] Balanced(IReadOnlyList<int> labels, int classes)
    {
        int[] counts = new int[classes];
        foreach (int label in labels)
            counts[label]++;
        int present = counts.Count(count => count > 0);
        return [.. counts.Select(count => count == 0 ? 0 : (double)labels.Count / ((double)present * count))];
    }

    /// <summary>
    /// Scales weights to a mean of 1 over all rows. The mean of weight · loss over a batch is then an unbiased estimate of the weighted
    /// mean over all rows, whatever the batch size, and a learning rate means the same with weights as without.
    /// </summary>
    /// <param name="weights">One weight per row, above 0 and finite.</param>
    /// <returns>Null if all weights are equal.</returns>
    /// <exception cref="InvalidOperationException">The weights are too far apart to be scaled.</exception>
    public static float[]? Scale(IReadOnlyList<double> weights)
    {
        if (weights.Count == 0 || weights.All(weight => weight == weights[0]))
            return null;
        double mean = weights.Average();
        float[] scaled = [.. weights.Select(weight => (float)(weight / mean))];
        // Rows are left out by an explicit weight of 0, never because rounding turned a small weight into 0.
        return scaled.All(weight => weight > 0 && float.IsFinite(weight))
            ? scaled
            : throw new InvalidOperationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The weights range from {weights.Min():g3} to {weights.Max():g3} (row weight times class weight), too far apart for "
                        + $"the smallest to have any effect. Bring them closer together, or give rows that should not count a weight of 0."
                )
            );
    }
}
