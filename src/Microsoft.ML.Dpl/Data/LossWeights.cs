using System.Globalization;

namespace Microsoft.ML.Dpl.Data;

/// <summary>How much each row's loss counts.</summary>
internal static class LossWeights
{
    /// <summary>Inverse frequencies: rows / (classes that have rows · rows of the class), 0 for a class without rows. The mean over the
    /// rows is 1.</summary>
    /// <param name="labels">The class index of each row.</param>
    /// <param name="classes">How many classes there are.</param>
    /// <returns>By class index.</returns>
    public static double[] Balanced(IReadOnlyList<int> labels, int classes)
    {
        int[] counts = new int[classes];
        foreach (int label in labels)
            counts[label]++;
        int present = counts.Count(count => count > 0);
        return [.. counts.Select(count => count == 0 ? 0 : (double)labels.Count / ((double)present * count))];
    }

    /// <summary>
    /// Scales weights to a mean of 1 over all rows. The mean of weight · loss over a batch then estimates the weighted mean over all rows
    /// without bias, whatever the batch size, and a learning rate means the same with weights as without.
    /// </summary>
    /// <param name="weights">One weight per row, above 0 and finite.</param>
    /// <returns>Null where all rows weigh alike.</returns>
    /// <exception cref="InvalidOperationException">They lie so far apart that they cannot be scaled.</exception>
    public static float[]? Scale(IReadOnlyList<double> weights)
    {
        if (weights.Count == 0 || weights.All(weight => weight == weights[0]))
            return null;
        double mean = weights.Average();
        float[] scaled = [.. weights.Select(weight => (float)(weight / mean))];
        // A row is left out by giving it a weight of 0, not by losing its weight in rounding.
        return scaled.All(weight => weight > 0 && float.IsFinite(weight))
            ? scaled
            : throw new InvalidOperationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The weights reach from {weights.Min():g3} to {weights.Max():g3} (row weight times class weight), too far apart "
                        + $"for the smallest to count at all. Bring them nearer to each other, or give rows that are not to count a "
                        + $"weight of 0."
                )
            );
    }
}
