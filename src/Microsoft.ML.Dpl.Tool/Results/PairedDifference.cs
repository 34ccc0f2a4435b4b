namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The difference in accuracy of two models on the same images, with a 95 % interval for matched pairs (Agresti and Min,
/// Statistics in Medicine 24, 2005: half an image is added to each of the four counts).</summary>
/// <param name="OnlyModel">Number of images that only the first model classifies correctly.</param>
/// <param name="OnlyOther">Number of images that only the other model classifies correctly.</param>
/// <param name="Difference">Accuracy of the first minus that of the other, −1 to 1.</param>
/// <param name="Lower">Lower bound of the interval, −1 to <paramref name="Difference"/>.</param>
/// <param name="Upper">Upper bound of the interval, <paramref name="Difference"/> to 1.</param>
internal sealed record PairedDifference(int OnlyModel, int OnlyOther, double Difference, double Lower, double Upper)
{
    /// <param name="onlyModel">Number of images that only the first model classifies correctly, at least 0.</param>
    /// <param name="onlyOther">Number of images that only the other model classifies correctly, at least 0.</param>
    /// <param name="count">Number of all images, at least 1 and at least the sum of the two.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
    public static PairedDifference From(int onlyModel, int onlyOther, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(onlyModel);
        ArgumentOutOfRangeException.ThrowIfNegative(onlyOther);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, Math.Max(1, onlyModel + onlyOther));
        double difference = (double)(onlyModel - onlyOther) / count,
            all = count + 2;
        double middle = (onlyModel - onlyOther) / all;
        double half = AccuracyInterval.Z * Math.Sqrt(onlyModel + onlyOther + 1 - all * middle * middle) / all;
        return new PairedDifference(
            onlyModel,
            onlyOther,
            difference,
            Math.Clamp(middle - half, -1, difference),
            Math.Clamp(middle + half, difference, 1)
        );
    }

    /// <param name="model">Predictions of the first model, at least one.</param>
    /// <param name="other">Predictions of the other model, on the same images in the same order.</param>
    /// <exception cref="ArgumentException">The images differ; the message names the first difference.</exception>
    public static PairedDifference From(IReadOnlyList<TestPrediction> model, IReadOnlyList<TestPrediction> other)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(other);
        if (model.Count != other.Count)
            throw new ArgumentException($"One model was tested on {model.Count} images, the other on {other.Count}.", nameof(other));
        int onlyModel = 0,
            onlyOther = 0;
        foreach (var (mine, its) in model.Zip(other))
        {
            if (mine.File != its.File)
                throw new ArgumentException(
                    $"One model was tested on '{mine.File}' where the other was tested on '{its.File}'.",
                    nameof(other)
                );
            bool mineRight = mine.Predicted == mine.True,
                itsRight = its.Predicted == its.True;
            if (mineRight && !itsRight)
                onlyModel++;
            if (itsRight && !mineRight)
                onlyOther++;
        }
        return From(onlyModel, onlyOther, model.Count);
    }
}
