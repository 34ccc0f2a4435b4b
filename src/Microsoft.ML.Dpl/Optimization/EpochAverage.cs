using System.Globalization;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>
/// How the prompts at the ends of all epochs are averaged to obtain those of the model. With validation rows, each epoch is evaluated with
/// the average so far.
/// </summary>
public sealed class EpochAverage
{
    private EpochAverage(EpochWeights weights) => Weights = weights;

    internal EpochWeights Weights { get; }

    /// <summary>A Gaussian over the epochs, as in PromptSRC (Khattak et al., ICCV 2023, arXiv 2307.06948).</summary>
    /// <param name="mean">Centre of the Gaussian as a fraction of the epochs, above 0. Published: 0.75 (new classes), 0.3 (other data
    /// sets), 0.6 and 0.9 (few-shot).</param>
    /// <param name="deviation">Its standard deviation as a fraction of the epochs, above 0. Published: 0.05, 0.5, 0.6 and 0.1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range.</exception>
    public static EpochAverage Gaussian(double mean = 0.75, double deviation = 0.05)
    {
        Require(mean > 0 && double.IsFinite(mean), mean, nameof(mean), "above 0 and finite");
        Require(deviation > 0 && double.IsFinite(deviation), deviation, nameof(deviation), "above 0 and finite");
        return new(new EpochWeights.Gaussian(mean, deviation));
    }

    /// <summary>An exponential moving average.</summary>
    /// <param name="decay">Factor by which the weights of earlier epochs shrink in each epoch, above 0 and below 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public static EpochAverage Exponential(double decay = 0.9)
    {
        Require(decay is > 0 and < 1, decay, nameof(decay), "above 0 and below 1");
        return new(new EpochWeights.Exponential(decay));
    }

    /// <summary>The plain mean of the last epochs.</summary>
    /// <param name="share">Fraction of all epochs, above 0 and at most 1; rounded up to whole epochs.</param>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public static EpochAverage Last(double share = 0.25)
    {
        Require(share is > 0 and <= 1, share, nameof(share), "above 0 and at most 1");
        return new(new EpochWeights.Last(share));
    }

    /// <summary>Returns the kind of average and its numbers, such as <c>gaussian 0.75 0.05</c>.</summary>
    public override string ToString() => Weights.ToString();

    private static void Require(bool isGood, double value, string name, string range)
    {
        if (!isGood)
            throw new ArgumentOutOfRangeException(
                name,
                value,
                string.Create(CultureInfo.InvariantCulture, $"{name} must be {range}; it is {value}.")
            );
    }
}
