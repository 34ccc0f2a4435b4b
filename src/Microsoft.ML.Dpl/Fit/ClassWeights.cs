using System.Globalization;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>The weights of the classes in the loss.</summary>
/// <remarks>A <c>Dictionary&lt;string, double&gt;</c> converts implicitly: <c>Training.ClassWeights = new Dictionary&lt;string, double&gt;
/// { ["rare"] = 5 }</c>.</remarks>
public sealed class ClassWeights
{
    private ClassWeights() => Named = null;

    /// <param name="weights">Weights by class name, above 0; classes not listed have a weight of 1. Only the proportions matter.</param>
    /// <exception cref="ArgumentException">A weight is not above 0 and finite, or a class has two weights.</exception>
    public ClassWeights(IReadOnlyDictionary<string, double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        foreach (var (name, weight) in weights)
        {
            if (!double.IsFinite(weight) || weight <= 0)
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"The weight of class '{name}' is {weight}. It must be a finite number above 0; to ignore a class, leave out its "
                            + $"rows."
                    ),
                    nameof(weights)
                );
        }
        var named = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var (name, weight) in weights)
            if (!named.TryAdd(ComposedText.Compose(name), weight))
                throw new ArgumentException($"The class '{name}' has two weights, under two Unicode forms of its name.", nameof(weights));
        Named = named;
    }

    /// <summary>
    /// Inverse frequency: all classes that have rows count equally, among the training rows and among the validation rows; the mean over
    /// the rows is 1.
    /// </summary>
    public static ClassWeights Balanced { get; } = new();

    /// <summary>Weights by class name; null for <see cref="Balanced"/>.</summary>
    internal IReadOnlyDictionary<string, double>? Named { get; }

    /// <summary>Creates weights by class name.</summary>
    /// <exception cref="ArgumentException">A weight is not above 0 and finite, or a class has two weights.</exception>
    public static implicit operator ClassWeights(Dictionary<string, double> weights) => new(weights);
}
