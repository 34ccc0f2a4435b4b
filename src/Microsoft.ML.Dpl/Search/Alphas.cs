namespace Microsoft.ML.Dpl.Search;

/// <summary>The alphas of both branches at one moment.</summary>
/// <param name="Text">[layer][candidate]</param>
/// <param name="Image">[layer][candidate]</param>
internal sealed record Alphas(float[][] Text, float[][] Image)
{
    /// <summary>The candidate with the largest alpha, the first of equals.</summary>
    public static int ChoiceOf(float[] layer) => Array.IndexOf(layer, layer.Max());

    /// <summary>The chosen candidate of every layer, text layers first.</summary>
    public int[] Choices() => [.. Layers().Select(ChoiceOf)];

    /// <summary>For every layer, text layers first: softmax weight of the choice minus that of the runner-up, 0 to 1.</summary>
    public double[] Leads() =>
        [
            .. Layers()
                .Select(layer =>
                {
                    float largest = layer.Max();
                    double[] weights = [.. layer.Select(alpha => Math.Exp((double)alpha - largest)).OrderDescending()];
                    return (weights[0] - weights[1]) / weights.Sum();
                }),
        ];

    /// <summary>The largest difference of one alpha from what it was.</summary>
    public double LargestChangeFrom(Alphas before) =>
        Layers()
            .Zip(before.Layers())
            .SelectMany(pair => pair.First.Zip(pair.Second))
            .Max(pair => Math.Abs((double)pair.First - pair.Second));

    private IEnumerable<float[]> Layers() => Text.Concat(Image);
}
