namespace Microsoft.ML.Dpl;

/// <summary>What a model says of one image.</summary>
public sealed class DplPrediction
{
    private readonly IReadOnlyList<string> _classes;
    private readonly Func<string, int> _indexOf;
    private readonly int _best;

    /// <param name="classes">In the order of the scores.</param>
    /// <param name="indexOf">The index of a class by its name; throws where there is none.</param>
    /// <param name="scores">One per class.</param>
    /// <param name="best">Index of the most probable class; -1 where it is none of them.</param>
    internal DplPrediction(IReadOnlyList<string> classes, Func<string, int> indexOf, float[] scores, int best) =>
        (_classes, _indexOf, Scores, _best) = (classes, indexOf, scores, best);

    /// <summary>The most probable class, the first of equals; null where none is as probable as
    /// <see cref="DplTransformer.Threshold"/> asks.</summary>
    public string? Label => _best < 0 ? null : _classes[_best];

    /// <summary>The probability of the most probable class, 0 to 1, also where it is below the threshold.</summary>
    public float Probability => Scores.Max();

    /// <summary>The classes' probabilities in the order of <see cref="DplTransformer.ClassNames"/>; they sum to 1.</summary>
    public IReadOnlyList<float> Scores { get; }

    /// <summary>The probability of a class, 0 to 1.</summary>
    /// <param name="className">One of <see cref="DplTransformer.ClassNames"/>.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    public float this[string className] => Scores[_indexOf(className)];

    /// <summary>The most probable classes, the first of equals first.</summary>
    /// <param name="count">How many, at least 1; all where there are fewer.</param>
    public IReadOnlyList<(string Label, float Probability)> Best(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return [.. _classes.Zip(Scores).OrderByDescending(pair => pair.Second).Take(count)];
    }

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"{Label ?? "none of them"} ({Probability:p1})");
}
