using SkiaSharp;

namespace Microsoft.ML.Dpl.Drawing;

/// <summary>
/// Draws a grid of numbers from 0 to 1 as colours over a rectangle of an image, smoothly enlarged (bicubic, Keys 1981, a = −½).
/// </summary>
/// <param name="values">[rows, columns] in row-major order.</param>
/// <param name="columns">Number of cells in a row.</param>
/// <param name="area">The rectangle in the image's pixels; it may reach beyond the image.</param>
internal sealed class HeatMap(IReadOnlyList<float> values, int columns, (double X, double Y, double Width, double Height) area)
{
    private readonly int _rows = values.Count / columns;

    /// <summary>Draws over pixels of four bytes whose colours are premultiplied by alpha, or whose alpha is 255.</summary>
    /// <param name="pixels">[height, width, 4], modified in place.</param>
    /// <param name="width">Width of the image in pixels.</param>
    /// <param name="blueFirst">Whether the channels are blue, green, red, alpha; otherwise red, green, blue, alpha.</param>
    /// <param name="opacity">The map's opacity, from 0 (the image is unchanged) to 1 (the map hides it).</param>
    public void DrawOver(Span<byte> pixels, int width, bool blueFirst, double opacity)
    {
        (int red, int blue) = blueFirst ? (2, 0) : (0, 2);
        int height = pixels.Length / (4 * width);
        var across = new Taps[width];
        for (int x = 0; x < width; x++)
            across[x] = Taps.At((x + 0.5 - area.X) / area.Width, columns);
        Span<double> column = stackalloc double[4];
        for (int y = 0; y < height; y++)
        {
            Taps down = Taps.At((y + 0.5 - area.Y) / area.Height, _rows);
            if (!down.Inside)
                continue;
            for (int x = 0; x < width; x++)
            {
                if (!across[x].Inside)
                    continue;
                for (int i = 0; i < 4; i++)
                    column[i] = across[x].Sum(values, down.Cell(i) * columns);
                var (r, g, b) = ColourMap.At(down.Sum(column));
                Span<byte> pixel = pixels.Slice(4 * (y * width + x), 4);
                pixel[red] = Mixed(pixel[red], r);
                pixel[1] = Mixed(pixel[1], g);
                pixel[blue] = Mixed(pixel[blue], b);
                pixel[3] = Mixed(pixel[3], byte.MaxValue);
            }
        }

        byte Mixed(byte under, double over) => (byte)Math.Round(under + (over - under) * opacity);
    }

    /// <summary>The four cells around a position on one axis, and their weights.</summary>
    private readonly struct Taps
    {
        private readonly int _first,
            _last;
        private readonly double _w0,
            _w1,
            _w2,
            _w3;

        private Taps(double place, int cells)
        {
            Inside = true;
            double at = place * cells - 0.5; // values are at the centres of the cells
            double floor = Math.Floor(at),
                t = at - floor;
            (_first, _last) = ((int)floor - 1, cells - 1);
            _w0 = ((-0.5 * t + 1) * t - 0.5) * t;
            _w1 = (1.5 * t - 2.5) * t * t + 1;
            _w2 = ((-1.5 * t + 2) * t + 0.5) * t;
            _w3 = (0.5 * t - 0.5) * t * t;
        }

        public bool Inside { get; }

        /// <param name="place">The position on the axis, from 0 to 1.</param>
        /// <param name="cells">Number of cells on the axis; the outermost are repeated beyond the edges.</param>
        public static Taps At(double place, int cells) => place is >= 0 and < 1 ? new Taps(place, cells) : default;

        public int Cell(int tap) => Math.Clamp(_first + tap, 0, _last);

        public double Sum(ReadOnlySpan<double> taps) => _w0 * taps[0] + _w1 * taps[1] + _w2 * taps[2] + _w3 * taps[3];

        public double Sum(IReadOnlyList<float> line, int offset) =>
            _w0 * line[offset + Cell(0)] + _w1 * line[offset + Cell(1)] + _w2 * line[offset + Cell(2)] + _w3 * line[offset + Cell(3)];
    }
}

/// <summary>
/// Colours for numbers from 0 to 1: from dark violet over green to yellow, by linear interpolation between nine points of matplotlib's
/// viridis (van der Walt, Smith 2015). Equal steps of the number look about equal, also in grey and to colour-blind readers.
/// </summary>
internal static class ColourMap
{
    private static readonly (byte Red, byte Green, byte Blue)[] Points =
    [
        (0x44, 0x01, 0x54),
        (0x47, 0x2D, 0x7B),
        (0x3B, 0x52, 0x8B),
        (0x2C, 0x72, 0x8E),
        (0x21, 0x91, 0x8C),
        (0x28, 0xAE, 0x80),
        (0x5E, 0xC9, 0x62),
        (0xAD, 0xDC, 0x30),
        (0xFD, 0xE7, 0x25),
    ];

    /// <param name="value">The number; values outside 0 to 1 are clamped.</param>
    /// <returns>sRGB, each 0 to 255.</returns>
    public static (double Red, double Green, double Blue) At(double value)
    {
        double place = Math.Clamp(value, 0, 1) * (Points.Length - 1);
        int below = Math.Min((int)place, Points.Length - 2);
        double share = place - below;
        var (from, to) = (Points[below], Points[below + 1]);
        return (Between(from.Red, to.Red), Between(from.Green, to.Green), Between(from.Blue, to.Blue));

        double Between(byte a, byte b) => a + (b - a) * share;
    }
}

/// <summary>An image encoded as PNG.</summary>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Png">The content of the PNG file.</param>
internal sealed record EncodedImage(int Width, int Height, byte[] Png);

/// <summary>The candidates' weights in one branch as a grid of colours: one row per layer, the first at the top, one column per
/// candidate; dark violet is 0, yellow is 1.</summary>
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
            for (int candidate = 0; candidate < columns; candidate++)
            {
                var (red, green, blue) = ColourMap.At(weights[layer][candidate]);
                paint.Color = new SKColor((byte)Math.Round(red), (byte)Math.Round(green), (byte)Math.Round(blue));
                canvas.DrawRect(candidate * Cell, layer * Cell, Cell, Cell, paint);
            }
        }
        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return new EncodedImage(bitmap.Width, bitmap.Height, png.ToArray());
    }
}
