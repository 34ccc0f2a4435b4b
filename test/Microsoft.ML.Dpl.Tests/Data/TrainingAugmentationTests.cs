using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class TrainingAugmentationTests
{
    [Theory]
    [InlineData(100, 100)]
    [InlineData(64, 640)]
    [InlineData(640, 64)]
    [InlineData(1, 1)]
    [InlineData(1, 300)]
    [InlineData(300, 1)]
    public void CropsLieWithinTheImage(int height, int width)
    {
        var augmentation = new TrainingAugmentation(32);
        var random = new Random(5);
        for (int i = 0; i < 2000; i++)
        {
            Crop crop = augmentation.Draw(height, width, random);
            Assert.True(crop.Height >= 1 && crop.Width >= 1 && crop.Top >= 0 && crop.Left >= 0);
            Assert.True(crop.Top + crop.Height <= height && crop.Left + crop.Width <= width);
        }
    }

    [Fact]
    public void AreasShapesAndFlipsAreDrawnAsAsked()
    {
        const int Side = 1000;
        var augmentation = new TrainingAugmentation(32);
        var random = new Random(6);
        Crop[] crops = [.. Enumerable.Range(0, 5000).Select(_ => augmentation.Draw(Side, Side, random))];
        double[] areas = [.. crops.Select(c => (double)c.Height * c.Width / Side / Side)];
        double[] shapes = [.. crops.Select(c => Math.Log((double)c.Width / c.Height))];
        Assert.InRange(areas.Min(), 0.079, 0.1);
        Assert.InRange(areas.Max(), 0.95, 1);
        Assert.InRange(areas.Average(), 0.465, 0.49); // expected 0.478: areas are uniform in 0.08 to 1, but large crops often do not fit
        Assert.InRange(shapes.Max(), 0.27, Math.Log(4.0 / 3) + 0.01);
        Assert.InRange(shapes.Min(), -Math.Log(4.0 / 3) - 0.01, -0.27);
        Assert.InRange(shapes.Average(), -0.01, 0.01);
        Assert.InRange(crops.Average(c => c.Flip ? 1 : 0), 0.47, 0.53);
        Assert.InRange(crops.Average(c => c.Left / (double)Math.Max(1, Side - c.Width)), 0.48, 0.52);
    }

    [Theory]
    [InlineData(30, 3000, 0, 1480, 30, 40)]
    [InlineData(3000, 30, 1480, 0, 40, 30)]
    // Sides so large that the aspect ratio's limits, 3 : 4 and 4 : 3, are checked to nine digits.
    [InlineData(300_000_000, 2_000_000_000, 0, 800_000_000, 300_000_000, 400_000_000)]
    [InlineData(2_000_000_000, 300_000_000, 800_000_000, 0, 400_000_000, 300_000_000)]
    public void FallsBackToTheMiddle(int height, int width, int top, int left, int cropHeight, int cropWidth)
    {
        var whole = new TrainingAugmentation(32, SmallestArea: 1, FlipProbability: 0);
        Assert.Equal(new Crop(top, left, cropHeight, cropWidth, false), whole.Draw(height, width, new Random(1)));
    }

    [Fact]
    public void ResizesThePartAndMirrorsIt()
    {
        using ImageCache cache = ImageCache.Build([TestImages.Random(60, 50, 7)], 32, 1 << 20);
        using var scope = torch.NewDisposeScope();
        var augmentation = new TrainingAugmentation(24);
        torch.Tensor plain = augmentation.Apply(cache[0], new Crop(5, 10, 40, 30, Flip: false)),
            mirrored = augmentation.Apply(cache[0], new Crop(5, 10, 40, 30, Flip: true));
        Assert.Equal([3, 24, 24], plain.shape);
        Assert.True(plain.equal(mirrored.flip(2)).all().item<bool>());

        // Cropping and resizing gives the same as resizing an image of the cropped part alone.
        torch.Tensor part = cache[0].narrow(1, 5, 40).narrow(2, 10, 30).contiguous();
        Assert.True(plain.equal(ImageResizing.Resize(part, 24, 24)).all().item<bool>());
    }
}
