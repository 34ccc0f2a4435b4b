using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.Tests.Data;

/// <summary>Synthetic images and comparisons shared by the data tests.</summary>
internal static class TestImages
{
    /// <summary>Coarse random blocks, whose structure survives resizing.</summary>
    public static RgbImage Random(int width, int height, int seed)
    {
        var random = new Random(seed);
        byte[] blocks = new byte[16 * 16 * 3];
        random.NextBytes(blocks);
        byte[] pixels = new byte[width * height * 3];
        for (int i = 0; i < pixels.Length; i++)
        {
            (int x, int y, int channel) = (i / 3 % width, i / 3 / width, i % 3);
            pixels[i] = blocks[((y * 16 / height * 16) + (x * 16 / width)) * 3 + channel];
        }
        return new RgbImage(width, height, pixels);
    }

    /// <summary>Copies a batch's values and disposes the batch.</summary>
    public static BatchValues Values(ImageBatch batch)
    {
        using (batch)
            return new BatchValues(batch.Images.data<float>().ToArray(), batch.Labels.data<long>().ToArray());
    }

    public static List<BatchValues> ReadAll(IBatchSource source, int epochs) =>
        [
            .. from epoch in Enumerable.Range(0, epochs)
            from index in Enumerable.Range(0, source.BatchesPerEpoch)
            select Values(source.Read(epoch, index)),
        ];
}

/// <summary>A batch's values, compared bit by bit.</summary>
internal sealed record BatchValues(float[] Images, long[] Labels)
{
    public bool Equals(BatchValues? other) =>
        other is not null
        && Labels.SequenceEqual(other.Labels)
        && MemoryMarshal.AsBytes<float>(Images).SequenceEqual(MemoryMarshal.AsBytes<float>(other.Images));

    public override int GetHashCode() => HashCode.Combine(Images.Length, Labels.Length);
}
