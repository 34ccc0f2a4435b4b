using SkiaSharp;

namespace Microsoft.ML.Dpl.Drawing;

/// <summary>An image as the bytes of a PNG file.</summary>
/// <param name="Width">In pixels.</param>
/// <param name="Height">In pixels.</param>
/// <param name="Png">The file.</param>
internal sealed record EncodedImage(int Width, int Height, byte[] Png);

/// <summary>The candidates' weights in a branch as a grid of colours: one row per layer, the first at the top, one column per candidate; dark
/// violet is 0, yellow is 1.</summary>
internal static class WeightGrid
{
    private const int Cell = 16; // pixels

    /// <param name="weights">[layer][candidate], 0 to 1.</param>
    public static EncodedImage Draw(IReadOnlyList<IReadOnlyList<double>> weights)
    {
        int columns = weights[0].Count;
        using var bitmap = new SKBitmap(new SKImageInfo(columns * Cell, weights.Count * Cell, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using (var canvas = new SKCanvas(bitmap))
        {
            using var paint = new SKPaint { IsAntialias = false };
            for (int layer = 0; layer < weights.Count; layer++)
            {
                for (int candidate = 0; candidate < columns; candidate++)
                {
                    var (red, green, blue) = ColourMap.At(weights[layer][candidate]);
                    paint.Color = new SKColor((byte)Math.Round(red), (byte)Math.Round(green), (byte)Math.Round(blue));
                    canvas.DrawRect(candidate * Cell, layer * Cell, Cell, Cell, paint);
                }
            }
        }
        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return new EncodedImage(bitmap.Width, bitmap.Height, png.ToArray());
    }
}
