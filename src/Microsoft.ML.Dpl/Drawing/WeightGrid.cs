using SkiaSharp;

namespace Microsoft.ML.Dpl.Drawing;

/// <summary>An image as the bytes of a PNG file.</summary>
/// <param name="Width">In pixels.</param>
/// <param name="Height">In pixels.</param>
/// <param name="Png">The file.</param>
internal sealed record EncodedImage(int Width, int Height, byte[] Png);

/// <summary>The softmax weights of a branch as a grid of colours: one row per layer, the first at the top, one column per candidate; dark
/// violet is 0, yellow is 1.</summary>
internal static class WeightGrid
{
    private const int Cell = 16; // pixels

    /// <param name="alphas">[layer][candidate], before the softmax.</param>
    public static EncodedImage Draw(IReadOnlyList<IReadOnlyList<float>> alphas)
    {
        int columns = alphas[0].Count;
        using var bitmap = new SKBitmap(new SKImageInfo(columns * Cell, alphas.Count * Cell, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using (var canvas = new SKCanvas(bitmap))
        {
            using var paint = new SKPaint { IsAntialias = false };
            for (int layer = 0; layer < alphas.Count; layer++)
            {
                double[] weights = Softmax(alphas[layer]);
                for (int candidate = 0; candidate < columns; candidate++)
                {
                    var (red, green, blue) = ColourMap.At(weights[candidate]);
                    paint.Color = new SKColor((byte)Math.Round(red), (byte)Math.Round(green), (byte)Math.Round(blue));
                    canvas.DrawRect(candidate * Cell, layer * Cell, Cell, Cell, paint);
                }
            }
        }
        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return new EncodedImage(bitmap.Width, bitmap.Height, png.ToArray());
    }

    private static double[] Softmax(IReadOnlyList<float> alphas)
    {
        double largest = alphas.Max();
        double[] exponentials = [.. alphas.Select(alpha => Math.Exp(alpha - largest))];
        double sum = exponentials.Sum();
        return [.. exponentials.Select(e => e / sum)];
    }
}
