using Google.Protobuf;
using Microsoft.ML.Dpl.Drawing;
using Tensorboard;

namespace Microsoft.ML.Dpl.TensorBoard;

/// <summary>The kinds of values that TensorBoard shows, as messages for an <see cref="EventFile"/>.</summary>
internal static class EventValues
{
    private const int Buckets = 30,
        ColoursWithAlpha = 4;

    /// <summary>A point of a curve.</summary>
    public static Summary.Types.Value Scalar(string tag, double value) => new() { Tag = tag, SimpleValue = (float)value };

    /// <summary>How numbers are distributed, in up to 30 buckets of equal width from the least to the greatest.</summary>
    /// <param name="tag">Its name.</param>
    /// <param name="numbers">At least one; finite.</param>
    public static Summary.Types.Value Histogram(string tag, IReadOnlyCollection<float> numbers)
    {
        double least = numbers.Min(),
            greatest = numbers.Max(),
            width = (greatest - least) / Buckets;
        var histogram = new HistogramProto
        {
            Min = least,
            Max = greatest,
            Num = numbers.Count,
            Sum = numbers.Sum(n => (double)n),
            SumSquares = numbers.Sum(n => (double)n * n),
        };
        if (width > 0)
        {
            var counts = new double[Buckets];
            foreach (float number in numbers)
                counts[Math.Min((int)((number - least) / width), Buckets - 1)]++;
            histogram.Bucket.AddRange(counts);
            // A limit is the right end of its bucket.
            histogram.BucketLimit.AddRange(Enumerable.Range(1, Buckets).Select(i => i == Buckets ? greatest : least + i * width));
        }
        else
        {
            histogram.Bucket.Add(numbers.Count);
            histogram.BucketLimit.Add(greatest);
        }
        return new Summary.Types.Value { Tag = tag, Histo = histogram };
    }

    /// <summary>An image.</summary>
    /// <param name="tag">Its name.</param>
    /// <param name="image">As PNG.</param>
    public static Summary.Types.Value Image(string tag, EncodedImage image) =>
        new()
        {
            Tag = tag,
            Image = new Summary.Types.Image
            {
                Width = image.Width,
                Height = image.Height,
                Colorspace = ColoursWithAlpha,
                EncodedImageString = ByteString.CopyFrom(image.Png),
            },
        };
}
