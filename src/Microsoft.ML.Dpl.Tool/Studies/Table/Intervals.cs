using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>The 95 % confidence interval of a mean over few seeds by Student's t distribution (Biometrika 6, 1908).</summary>
internal static class SeedInterval
{
    // 97.5 % quantiles of Student's t distribution with 1, 2, … degrees of freedom.
    private static readonly double[] Points =
    [
        .. new[] { 12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281 },
        .. new[] { 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860 },
        .. new[] { 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423 },
    ];

    /// <returns>Half of the interval's width around the mean; null for fewer than two values.</returns>
    public static double? HalfWidth(IReadOnlyList<double> values)
    {
        if (values.Count < 2)
            return null;
        double mean = values.Average(),
            deviation = Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
        return Point(values.Count - 1) * deviation / Math.Sqrt(values.Count);
    }

    private static double Point(int freedom)
    {
        if (freedom <= Points.Length)
            return Points[freedom - 1];
        // The first terms of the Cornish–Fisher expansion, accurate to four digits for these degrees of freedom.
        const double z = AccuracyInterval.Z;
        return z + (z * z * z + z) / (4 * freedom) + (5 * Math.Pow(z, 5) + 16 * z * z * z + 3 * z) / (96.0 * freedom * freedom);
    }
}

/// <summary>The 95 % confidence interval of the mean of paired differences.</summary>
internal static class DifferenceInterval
{
    // The bootstrap's interval of few differences is too narrow: that of two or three is their smallest and largest.
    private const int FewestForBootstrap = 6;

    /// <param name="differences">The differences.</param>
    /// <returns>The bounds, by Student's t distribution for two to five differences and by the bootstrap for more; null for fewer than
    /// two.</returns>
    public static (double Low, double High)? Compute(IReadOnlyList<double> differences)
    {
        if (differences.Count >= FewestForBootstrap)
            return Bootstrap.Interval(differences);
        if (SeedInterval.HalfWidth(differences) is not double half)
            return null;
        double mean = differences.Average();
        return (mean - half, mean + half);
    }
}

/// <summary>Percentile bootstrap (Efron, Annals of Statistics 7, 1979).</summary>
internal static class Bootstrap
{
    private const int Resamples = 10_000;

    /// <summary>Returns the bounds of the middle 95 % of the means of samples drawn with replacement.</summary>
    /// <param name="differences">The differences, at least one. The seed is fixed, so that equal input gives equal bounds.</param>
    public static (double Low, double High) Interval(IReadOnlyList<double> differences)
    {
        var random = new Random(1);
        double[] means = new double[Resamples];
        for (int i = 0; i < Resamples; i++)
            means[i] = Enumerable.Range(0, differences.Count).Average(_ => differences[random.Next(differences.Count)]);
        Array.Sort(means);
        return (means[(int)(0.025 * Resamples)], means[(int)(0.975 * Resamples) - 1]);
    }
}
