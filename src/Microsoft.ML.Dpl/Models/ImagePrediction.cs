using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl;

/// <summary>A model's prediction for one image.</summary>
public sealed class ImagePrediction
{
    private readonly LabelClasses _classes;
    private readonly int _best; // -1 if no class reaches the threshold

    private ImagePrediction(LabelClasses classes, float[] scores, int best) => (_classes, Scores, _best) = (classes, scores, best);

    /// <summary>Scores a single image.</summary>
    internal static ImagePrediction Create(ScoreSchema schema, IImageScorer scorer, RgbImage image)
    {
        float[] scores = scorer.Score([scorer.Prepare(image)])[0];
        return new ImagePrediction(schema.Classes, scores, schema.Best(scores));
    }

    /// <summary>The most probable class (the first one in a tie); null if no class reaches
    /// <see cref="DplTransformer.Threshold"/>.</summary>
    public string? Label => _best < 0 ? null : _classes.Names[_best];

    /// <summary>The probability of the most probable class, 0 to 1, even if it is below the threshold.</summary>
    public float Probability => Scores.Max();

    /// <summary>The classes' probabilities in the order of <see cref="DplTransformer.ClassNames"/>; they sum to 1.</summary>
    public IReadOnlyList<float> Scores { get; }

    /// <summary>The probability of a class, 0 to 1.</summary>
    /// <param name="className">One of <see cref="DplTransformer.ClassNames"/>.</param>
    /// <exception cref="ArgumentException">There is no class of this name; the message lists the classes.</exception>
    public float this[string className] => Scores[_classes.IndexOf(className)];

    /// <summary>The most probable classes, in descending order of probability; ties keep the order of
    /// <see cref="DplTransformer.ClassNames"/>.</summary>
    /// <param name="count">Number of classes to return, at least 1; if there are fewer classes, all are returned.</param>
    public IReadOnlyList<(string Label, float Probability)> Best(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return [.. _classes.Names.Zip(Scores).OrderByDescending(pair => pair.Second).Take(count)];
    }

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"{Label ?? "none of them"} ({Probability:p1})");
}
