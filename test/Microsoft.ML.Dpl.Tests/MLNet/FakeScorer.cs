using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Classifies an image as red, green or blue by its mean colour, and counts forward passes and images.</summary>
internal sealed class FakeScorer(int batchSize = 8) : IImageScorer
{
    private int _forwards,
        _images;

    public static readonly string[] Classes = ["red", "green", "blue"];

    /// <summary>The class names in the order of the scores.</summary>
    public IReadOnlyList<string> Order { get; set; } = Classes;

    public int BatchSize => batchSize;

    public int Forwards => _forwards;

    public int Images => _images;

    /// <summary>Runs before each forward pass.</summary>
    public Action OnScore { get; set; } = () => { };

    public byte[] Prepare(RgbImage image)
    {
        long[] sums = new long[3];
        for (int i = 0; i < image.Pixels.Length; i++)
            sums[i % 3] += image.Pixels[i];
        return sums.Select(s => (byte)(s / (image.Width * image.Height))).ToArray();
    }

    public float[][] Score(IReadOnlyList<byte[]> prepared)
    {
        Interlocked.Increment(ref _forwards);
        Interlocked.Add(ref _images, prepared.Count);
        OnScore();
        return prepared
            .Select(colour =>
            {
                float total = colour.Sum(c => c + 1f);
                return Order.Select(name => (colour[Array.IndexOf(Classes, name)] + 1f) / total).ToArray();
            })
            .ToArray();
    }
}
