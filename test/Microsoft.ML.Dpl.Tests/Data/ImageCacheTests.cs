using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class ImageCacheTests
{
    private const long Plenty = 1 << 30;

    [Fact]
    public void ReducesTheShortSideToTwiceTheImageSizeAndNeverEnlarges()
    {
        using ImageCache cache = ImageCache.Build(
            [TestImages.Random(300, 200, 1), TestImages.Random(40, 90, 2), TestImages.Random(10, 12, 3)],
            32,
            Plenty
        );
        Assert.Equal(3, cache.Count);
        Assert.Equal(64, cache.ShortSideBound);
        Assert.Equal([3, 64, 96], cache[0].shape);
        Assert.Equal([3, 90, 40], cache[1].shape);
        Assert.Equal([3, 12, 10], cache[2].shape);
        Assert.Equal(3 * (64 * 96 + 90 * 40 + 12 * 10), cache.Bytes);
        Assert.All(Enumerable.Range(0, 3), i => Assert.Equal(torch.ScalarType.Byte, cache[i].dtype));
    }

    [Fact]
    public void KeepsSmallImagesAsTheyAre()
    {
        RgbImage image = TestImages.Random(20, 10, 4);
        using ImageCache cache = ImageCache.Build([image], 32, Plenty);
        using torch.Tensor rows = cache[0].permute(1, 2, 0);
        Assert.Equal(image.Pixels, rows.bytes.ToArray());
    }

    [Fact]
    public void TreatsAlphaAsThePreparationDoes()
    {
        byte[] pixels = [.. Enumerable.Repeat((byte)200, 40 * 40 * 3)];
        byte[] alpha = [.. Enumerable.Range(0, 40 * 40).Select(i => (byte)(i % 40 < 20 ? 255 : 0))];
        using ImageCache cache = ImageCache.Build([new RgbImage(40, 40, pixels, alpha)], 10, Plenty);
        Assert.Equal([3, 20, 20], cache[0].shape);
        Assert.Equal([200, 0], new[] { 0, 19 }.Select(column => cache[0][0, 5, column].item<byte>()));
    }

    [Theory]
    [InlineData(10 * 3 * 64 * 64, 64)]
    [InlineData(10 * 3 * 64 * 64 - 1, 56)]
    [InlineData(10 * 3 * 40 * 40, 40)]
    [InlineData(10 * 3 * 32 * 32, 32)]
    public void ShrinksAllImagesAlikeWhereMemoryIsShort(long maximumBytes, int bound)
    {
        using ImageCache cache = ImageCache.Build(Enumerable.Range(0, 10).Select(i => TestImages.Random(100, 100, i)), 32, maximumBytes);
        Assert.Equal(bound, cache.ShortSideBound);
        Assert.All(Enumerable.Range(0, 10), i => Assert.Equal([3, bound, bound], cache[i].shape));
        Assert.True(cache.Bytes <= maximumBytes);
    }

    [Fact]
    public void HoldsTheBoundWhileItIsFilledWithImagesOfManyShapes()
    {
        const long Maximum = 400_000;
        using ImageCache cache = ImageCache.Build(
            Enumerable.Range(0, 60).Select(i => TestImages.Random(33 + i * 3, 200 - i * 2, i)),
            32,
            Maximum
        );
        Assert.Equal(60, cache.Count);
        Assert.InRange(cache.Bytes, Maximum / 3, Maximum);
        Assert.Equal(cache.Bytes, Enumerable.Range(0, 60).Sum(i => cache[i].NumberOfElements));
        Assert.All(Enumerable.Range(0, 60), i => Assert.True(cache[i].shape.Skip(1).Min() <= cache.ShortSideBound));
    }

    [Fact]
    public void SaysHowMuchMemoryIsNeeded()
    {
        int decoded = 0;
        var images = Enumerable
            .Range(0, 800)
            .Select(i =>
            {
                decoded++;
                return TestImages.Random(64, 64, i);
            });
        string message = Assert.Throws<InvalidOperationException>(() => ImageCache.Build(images, 64, 2 << 20)).Message;
        Assert.Contains("need 10 MB", message); // 800 × 3 × 64 × 64 bytes are 9.4 MB
        Assert.Contains("2 MB allowed", message);
        Assert.Contains("Images.CacheMegabytes", message);
        Assert.Equal(800, decoded);
    }

    [Fact]
    public void HoldsOneImageOfFullSizeAtATime()
    {
        // Each image is decoded only after the previous one has been consumed.
        var alive = new List<WeakReference>();
        using ImageCache cache = ImageCache.Build(
            Enumerable
                .Range(0, 5)
                .Select(i =>
                {
                    GC.Collect();
                    Assert.True(alive.Count(a => a.IsAlive) <= 1);
                    RgbImage image = TestImages.Random(500, 400, i);
                    alive.Add(new WeakReference(image));
                    return image;
                }),
            16,
            Plenty
        );
        Assert.Equal(5, cache.Count);
    }

    [Fact]
    public void FreesItsImagesAndStopsWhenCancelled()
    {
        ImageCache cache = ImageCache.Build([TestImages.Random(50, 50, 1)], 32, Plenty);
        torch.Tensor image = cache[0];
        cache.Dispose();
        cache.Dispose();
        Assert.True(image.IsInvalid);
        Assert.Throws<OperationCanceledException>(() =>
            ImageCache.Build([TestImages.Random(5, 5, 1)], 32, Plenty, new CancellationToken(canceled: true))
        );
    }

    [Fact]
    public void OutlivesTheScopeItWasBuiltIn()
    {
        Dpl.Runtime.LibTorch.EnsureLoaded();
        ImageCache cache;
        using (torch.NewDisposeScope())
            cache = ImageCache.Build([TestImages.Random(50, 50, 1), TestImages.Random(100, 90, 1)], 32, Plenty);
        using (cache)
            Assert.All(Enumerable.Range(0, 2), i => Assert.False(cache[i].IsInvalid));
    }
}
