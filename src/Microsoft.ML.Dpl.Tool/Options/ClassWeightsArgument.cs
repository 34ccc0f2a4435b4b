using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Class weights on a command line: <c>balanced</c>, or <c>cat=2,dog=1.5</c>.</summary>
internal static class ClassWeightsArgument
{
    /// <exception cref="ArgumentException">The text has neither form, or a weight is not above 0.</exception>
    public static ClassWeights Parse(string text)
    {
        if (text.Equals("balanced", StringComparison.OrdinalIgnoreCase))
            return ClassWeights.Balanced;
        var weights = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (string pair in text.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.LastIndexOf('=');
            if (
                equals < 1
                || !double.TryParse(pair.AsSpan(equals + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double weight)
            )
                throw new ArgumentException(
                    $"--class-weights: '{pair}' is not of the form class=weight. Give balanced, or names and weights as cat=2,dog=1.5."
                );
            if (!weights.TryAdd(pair[..equals].Trim(), weight))
                throw new ArgumentException($"--class-weights names '{pair[..equals].Trim()}' twice.");
        }
        return new ClassWeights(weights);
    }
}
