namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How a classifier does on one class.</summary>
/// <param name="Name">The class.</param>
/// <param name="Count">Pictures of it.</param>
/// <param name="Recall">Share of them that were classified rightly; null without pictures.</param>
/// <param name="Precision">Share of the pictures classified as this that are of it; null where none were.</param>
/// <param name="F1">Harmonic mean of the two; null where one of them is.</param>
internal sealed record ClassEvaluation(string Name, int Count, double? Recall, double? Precision, double? F1);

/// <summary>How a classifier does on labelled pictures.</summary>
/// <param name="Count">Pictures.</param>
/// <param name="Accuracy">Share classified rightly, 0 to 1.</param>
/// <param name="AccuracyInterval">Lower and upper end of its 95 % interval by Wilson (1927).</param>
/// <param name="MacroAccuracy">Mean recall of the classes that have pictures.</param>
/// <param name="LogLoss">Mean of −ln of the probability given to the right class, which counts as at least 1e-15; in nats.</param>
/// <param name="CalibrationError">Expected calibration error, 15 bins of equal width (Guo et al., ICML 2017, arXiv 1706.04599), 0 to 1.</param>
/// <param name="Classes">One by one, in the order of the scores.</param>
/// <param name="Confusion">[right class][predicted class], pictures.</param>
internal sealed record Evaluation(
    int Count, double Accuracy, double[] AccuracyInterval, double MacroAccuracy, double LogLoss, double CalibrationError, IReadOnlyList<ClassEvaluation> Classes, int[][] Confusion)
{
    private const int Bins = 15;
    private const double SmallestProbability = 1e-15, NormalQuantile = 1.959963984540054;

    /// <param name="classes">Names in the order of the scores.</param>
    /// <param name="scored">Right class and probabilities of each picture, at least one.</param>
    /// <exception cref="ArgumentException">There is no picture.</exception>
    public static Evaluation Of(IReadOnlyList<string> classes, IEnumerable<(int Class, float[] Probabilities)> scored)
    {
        int[][] confusion = [.. classes.Select(_ => new int[classes.Count])];
        var bins = new (int Count, double Confidence, int Right)[Bins];
        int count = 0, right = 0;
        double loss = 0;
        foreach (var (label, probabilities) in scored)
        {
            int predicted = Array.IndexOf(probabilities, probabilities.Max());
            bool isRight = predicted == label;
            confusion[label][predicted]++;
            count++;
            right += isRight ? 1 : 0;
            loss -= Math.Log(Math.Max(probabilities[label], SmallestProbability));
            int bin = Math.Clamp((int)Math.Ceiling(probabilities[predicted] * (double)Bins) - 1, 0, Bins - 1);
            bins[bin] = (bins[bin].Count + 1, bins[bin].Confidence + probabilities[predicted], bins[bin].Right + (isRight ? 1 : 0));
        }
        if (count == 0) throw new ArgumentException("There are no pictures to evaluate on.");
        ClassEvaluation[] single = [.. classes.Select((name, index) => Single(name, index, confusion))];
        return new Evaluation(
            count, (double)right / count, Wilson(right, count), single.Where(c => c.Recall is not null).Average(c => c.Recall!.Value), loss / count,
            bins.Sum(bin => Math.Abs(bin.Right - bin.Confidence)) / count, single, confusion);
    }

    private static ClassEvaluation Single(string name, int index, int[][] confusion)
    {
        int own = confusion[index][index], all = confusion[index].Sum(), claimed = confusion.Sum(row => row[index]);
        double? recall = all == 0 ? null : (double)own / all, precision = claimed == 0 ? null : (double)own / claimed;
        return new ClassEvaluation(name, all, recall, precision, all == 0 || claimed == 0 ? null : 2.0 * own / (all + claimed));
    }

    private static double[] Wilson(int right, int count)
    {
        double z = NormalQuantile, share = (double)right / count, scale = 1 + z * z / count;
        double centre = (share + z * z / (2 * count)) / scale, half = z / scale * Math.Sqrt(share * (1 - share) / count + z * z / (4.0 * count * count));
        return [Math.Max(0, centre - half), Math.Min(1, centre + half)];
    }
}
