namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>An accuracy with its 95 % confidence interval: Wilson's score interval (JASA 22, 1927).</summary>
/// <param name="Accuracy">The accuracy, 0 to 1.</param>
/// <param name="Lower">The lower bound, 0 to <paramref name="Accuracy"/>.</param>
/// <param name="Upper">The upper bound, <paramref name="Accuracy"/> to 1.</param>
internal sealed record AccuracyInterval(double Accuracy, double Lower, double Upper)
{
    /// <summary>The normal distribution's 97.5 % point.</summary>
    internal const double Z = 1.959963984540054;

    /// <param name="right">Number of images classified correctly, 0 to <paramref name="count"/>.</param>
    /// <param name="count">Number of images, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public static AccuracyInterval Create(int right, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(right);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(right, count);
        double p = (double)right / count,
            z2 = Z * Z;
        double middle = (p + z2 / (2 * count)) / (1 + z2 / count);
        double half = Z / (1 + z2 / count) * Math.Sqrt(p * (1 - p) / count + z2 / (4.0 * count * count));
        // Rounding must not move the bounds past the accuracy itself.
        return new AccuracyInterval(p, Math.Clamp(middle - half, 0, p), Math.Clamp(middle + half, p, 1));
    }
}
