namespace Microsoft.ML.Dpl.Clip;

/// <summary>A decoded picture: 8-bit red, green, blue, row by row.</summary>
internal sealed class RgbImage
{
    /// <param name="width">Columns, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="pixels">[height, width, 3]</param>
    public RgbImage(int width, int height, byte[] pixels)
    {
        if (width < 1 || height < 1) throw new ArgumentException($"A picture of {width} × {height} pixels is empty.");
        if (pixels.LongLength != 3L * width * height) throw new ArgumentException($"{pixels.LongLength} bytes are not {width} × {height} pixels of 3.", nameof(pixels));
        (Width, Height, Pixels) = (width, height, pixels);
    }

    public int Width { get; }

    public int Height { get; }

    public byte[] Pixels { get; }
}
