using Microsoft.ML.Dpl.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>A part of an image in pixels, and whether it is mirrored left to right.</summary>
internal readonly record struct Crop(int Top, int Left, int Height, int Width, bool Flip);

/// <summary>Random resized crops and flips: an area and a shape are drawn until they fit, and the part is resized to the image size.
/// Thread-safe.</summary>
/// <param name="ImageSize">Pixels a side of the result.</param>
/// <param name="SmallestArea">The least part of the image's area, in (0, 1].</param>
/// <param name="LargestArea">The greatest part of the image's area, in (0, 1].</param>
/// <param name="NarrowestShape">The least width / height of the part.</param>
/// <param name="WidestShape">The greatest width / height of the part.</param>
/// <param name="FlipProbability">How often the part is mirrored, in [0, 1].</param>
internal sealed record TrainingAugmentation(
    int ImageSize,
    double SmallestArea = 0.08,
    double LargestArea = 1,
    double NarrowestShape = 3.0 / 4,
    double WidestShape = 4.0 / 3,
    double FlipProbability = 0.5
)
{
    private const int Tries = 10;

    /// <summary>Draws a part of an image of <paramref name="height"/> × <paramref name="width"/> pixels.</summary>
    public Crop Draw(int height, int width, Random random)
    {
        Crop crop = DrawPart(height, width, random);
        return crop with { Flip = random.NextDouble() < FlipProbability };
    }

    /// <summary>Cuts, resizes (bicubic, antialiased) and mirrors.</summary>
    /// <param name="image">[3, height, width] uint8 on the CPU; stays the caller's.</param>
    /// <param name="crop">A part that lies within the image.</param>
    /// <returns>[3, size, size] uint8, in the caller's dispose scope.</returns>
    public Tensor Apply(Tensor image, Crop crop)
    {
        using var scope = NewDisposeScope();
        Tensor part = image.narrow(1, crop.Top, crop.Height).narrow(2, crop.Left, crop.Width);
        Tensor resized = ImageResizing.Resize(part, ImageSize, ImageSize);
        return (crop.Flip ? resized.flip(2) : resized).MoveToOuterDisposeScope();
    }

    private Crop DrawPart(int height, int width, Random random)
    {
        double area = (double)height * width;
        for (int i = 0; i < Tries; i++)
        {
            double target = area * Between(SmallestArea, LargestArea, random);
            double shape = Math.Exp(Between(Math.Log(NarrowestShape), Math.Log(WidestShape), random));
            int w = (int)Math.Round(Math.Sqrt(target * shape)),
                h = (int)Math.Round(Math.Sqrt(target / shape));
            if (w > 0 && w <= width && h > 0 && h <= height)
                return new Crop(random.Next(height - h + 1), random.Next(width - w + 1), h, w, false);
        }
        return MiddlePart(height, width);
    }

    /// <summary>The largest middle part of an allowed shape.</summary>
    private Crop MiddlePart(int height, int width)
    {
        double shape = (double)width / height;
        int w = shape > WidestShape ? (int)Math.Round(height * WidestShape) : width;
        int h = shape < NarrowestShape ? (int)Math.Round(width / NarrowestShape) : height;
        return new Crop((height - h) / 2, (width - w) / 2, h, w, false);
    }

    private static double Between(double low, double high, Random random) => low + (high - low) * random.NextDouble();
}
