namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How well the most probable class's probability matches the accuracy, in bins of equal width (Guo et al., ICML 2017, arXiv
/// 1706.04599).</summary>
/// <param name="ExpectedError">Expected calibration error: the mean absolute difference between accuracy and probability over the bins,
/// weighted by their number of images; 0 to 1.</param>
/// <param name="Bins">The bins in order of probability, from 0 to 1, including empty ones.</param>
internal sealed record CalibrationResults(double ExpectedError, IReadOnlyList<CalibrationBin> Bins)
{
    /// <summary>Number of bins, as in the paper.</summary>
    public const int BinCount = 15;

    /// <param name="predictions">The predictions, at least one.</param>
    public static CalibrationResults From(IReadOnlyList<TestPrediction> predictions)
    {
        ArgumentNullException.ThrowIfNull(predictions);
        var bins = new CalibrationBin[BinCount];
        foreach (var (i, held) in Enumerable.Range(0, BinCount).GroupJoin(predictions, i => i, BinOf, (i, held) => (i, held.ToArray())))
        {
            bins[i] = new CalibrationBin(
                held.Length,
                held.Length == 0 ? null : held.Average(p => p.Probability),
                held.Length == 0 ? null : held.Count(IsMostProbable) / (double)held.Length
            );
        }
        double error = bins.Sum(bin => bin.Images * Math.Abs((bin.Accuracy ?? 0) - (bin.Probability ?? 0))) / predictions.Count;
        return new CalibrationResults(error, bins);
    }

    // A threshold changes no probability, so without a prediction, too, the most probable class counts.
    private static bool IsMostProbable(TestPrediction prediction) =>
        prediction.Predicted is { } predicted ? predicted == prediction.True : prediction.TrueProbability == prediction.Probability;

    // A bin excludes its lower bound and includes its upper one, as in the paper.
    private static int BinOf(TestPrediction prediction) =>
        Math.Clamp((int)Math.Ceiling(prediction.Probability * BinCount) - 1, 0, BinCount - 1);
}

/// <summary>The images whose most probable class has a probability in this bin.</summary>
/// <param name="Images">Number of images.</param>
/// <param name="Probability">Mean probability of the most probable class, 0 to 1; null if there are no images.</param>
/// <param name="Accuracy">Share of the images whose most probable class is the true one, 0 to 1; null if there are no images.</param>
internal sealed record CalibrationBin(int Images, double? Probability, double? Accuracy);
