namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>Percentile bootstrap (Efron, Annals of Statistics 7, 1979).</summary>
internal static class Bootstrap
{
    private const int Resamples = 10_000;

    /// <summary>The middle 95 % of the means of samples drawn with replacement.</summary>
    /// <param name="differences">At least one. Equal ones give equal bounds.</param>
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
