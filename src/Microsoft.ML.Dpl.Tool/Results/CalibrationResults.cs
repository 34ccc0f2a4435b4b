namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How far the predicted class's probability can be taken at its word, in bins of equal width (Guo et al., ICML 2017, arXiv
/// 1706.04599).</summary>
/// <param name="ExpectedError">Expected calibration error: the mean distance of accuracy and probability over bins, weighted by images; 0
/// to 1.</param>
/// <param name="Bins">From probability 0 to 1; empty ones have no images.</param>
internal sealed record CalibrationResults(double ExpectedError, IReadOnlyList<CalibrationBin> Bins)
{
    /// <summary>Bins, as in the paper.</summary>
    public const int BinCount = 15;

    /// <param name="predictions">At least one.</param>
    public static CalibrationResults From(IReadOnlyList<TestPrediction> predictions)
    {
        ArgumentNullException.ThrowIfNull(predictions);
        var bins = new CalibrationBin[BinCount];
        foreach (var (i, held) in Enumerable.Range(0, BinCount).GroupJoin(predictions, i => i, BinOf, (i, held) => (i, held.ToArray())))
        {
            bins[i] = new CalibrationBin(
                held.Length,
                held.Length == 0 ? null : held.Average(p => p.Probability),
                held.Length == 0 ? null : held.Count(p => p.Predicted == p.True) / (double)held.Length
            );
        }
        double error = bins.Sum(bin => bin.Images * Math.Abs((bin.Accuracy ?? 0) - (bin.Probability ?? 0))) / predictions.Count;
        return new CalibrationResults(error, bins);
    }

    // Bins are open below and closed above, as in the paper.
    private static int BinOf(TestPrediction prediction) =>
        Math.Clamp((int)Math.Ceiling(prediction.Probability * BinCount) - 1, 0, BinCount - 1);
}

/// <summary>The images whose predicted class has a probability within one bin.</summary>
/// <param name="Images">How many.</param>
/// <param name="Probability">Their mean probability, 0 to 1; null without images.</param>
/// <param name="Accuracy">Share of them classified rightly, 0 to 1; null without images.</param>
internal sealed record CalibrationBin(int Images, double? Probability, double? Accuracy);
