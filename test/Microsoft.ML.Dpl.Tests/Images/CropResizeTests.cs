using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Images;

/// <summary>Images are preprocessed without libtorch, and must have the same bytes as when resized by libtorch.</summary>
public sealed class CropResizeTests
{
    [Theory]
    [InlineData(224, 224)]
    [InlineData(48, 48)]
    [InlineData(64, 56)]
    [InlineData(17, 40)]
    public void Random_images_become_the_bytes_of_libtorch(int shortSide, int cropSize)
    {
        Random random = Seeds.Random(shortSide, "sizes of images");
        for (int round = 0; round < LongRuns.Times(60, 4000); round++)
            AssertSame(Image(random, Side(), Side(), withAlpha: round % 3 == 0), shortSide, cropSize);

        // Uniform on a logarithmic scale, so that small sides are as frequent as large ones.
        int Side() => (int)Math.Exp(random.NextDouble() * Math.Log(900)) + 1;
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 500)]
    [InlineData(500, 1)]
    [InlineData(3, 1000)]
    [InlineData(2000, 31)]
    [InlineData(224, 224)]
    [InlineData(225, 224)]
    [InlineData(224, 300)]
    [InlineData(448, 896)]
    [InlineData(3000, 2000)]
    public void Shapes_become_the_bytes_of_libtorch(int width, int height)
    {
        Random random = Seeds.Random(width, "pixels");
        foreach (bool withAlpha in (bool[])[false, true])
            AssertSame(Image(random, width, height, withAlpha), 224, 224);
    }

    [Fact]
    public void Edges_overshoot_and_are_cut_as_libtorch_cuts_them()
    {
        const int Side = 301;
        byte[] pixels =
        [
            .. Enumerable.Range(0, Side * Side * 3).Select(i => (byte)(i / 3 % Side / 7 % 2 == i / 3 / Side / 5 % 2 ? 255 : 0)),
        ];
        foreach (int size in (int[])[32, 224, 500])
            AssertSame(new RgbImage(Side, Side, pixels), size, size);
    }

    [Theory]
    [MemberData(nameof(ClipImageProcessorTests.GoldenImages), MemberType = typeof(ClipImageProcessorTests)), Trait("Category", "Golden")]
    public void Golden_images_become_the_bytes_of_libtorch(string name, int size) =>
        AssertSame(ImageDecoder.FromFile(GoldenFolder.At($"preprocess/{name}")), size, size);

    private static RgbImage Image(Random random, int width, int height, bool withAlpha)
    {
        var pixels = new byte[width * height * 3];
        random.NextBytes(pixels);
        byte[]? alpha = null;
        if (withAlpha)
        {
            alpha = new byte[width * height];
            random.NextBytes(alpha);
            // Fully transparent and fully opaque stretches, as in real images.
            for (int i = 0; i < alpha.Length; i++)
                alpha[i] = (i / 50 % 3) switch
                {
                    0 => 0,
                    1 => 255,
                    _ => alpha[i],
                };
        }
        return new RgbImage(width, height, pixels, alpha);
    }

    private static void AssertSame(RgbImage image, int shortSide, int cropSize)
    {
        var processor = new ClipImageProcessor(new ClipImageProcessorConfig(shortSide, cropSize, [0, 0, 0], [1, 1, 1]));
        using var scope = NewDisposeScope();
        Tensor whole =
            Math.Min(image.Width, image.Height) == shortSide ? ImageResizing.Opaque(image) : ImageResizing.WeightedByAlpha(image);
        byte[] expected = processor.Prepare(whole).bytes.ToArray(),
            actual = processor.Prepare(image);
        int different = expected.Zip(actual).Count(pair => pair.First != pair.Second);
        Assert.True(
            different == 0 && expected.Length == actual.Length,
            $"{different} of {expected.Length} bytes differ for {image.Width} × {image.Height} to {shortSide}, {cropSize}"
        );
    }
}
