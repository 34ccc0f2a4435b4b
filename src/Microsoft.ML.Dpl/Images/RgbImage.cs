namespace Microsoft.ML.Dpl.Images;

/// <summary>A decoded image: 8-bit red, green, blue, row by row.</summary>
internal sealed class RgbImage
{
    /// <param name="width">Columns, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="pixels">[height, width, 3], not multiplied by alpha.</param>
    /// <param name="alpha">[height, width], or null where every pixel is opaque.</param>
    public RgbImage(int width, int height, byte[] pixels, byte[]? alpha = null)
    {
        if (width < 1 || height < 1)
            throw new ArgumentException($"An image of {width} × {height} pixels is empty.");
        if (pixels.LongLength != 3L * width * height)
            throw new ArgumentException($"{pixels.LongLength} bytes are not {width} × {height} pixels of 3.", nameof(pixels));
        if (alpha is not null && alpha.LongLength != (long)width * height)
            throw new ArgumentException($"{alpha.LongLength} bytes are not {width} × {height} pixels.", nameof(alpha));
        (Width, Height, Pixels, Alpha) = (width, height, pixels, alpha);
    }

    public int Width { get; }

    public int Height { get; }

    public byte[] Pixels { get; }

    /// <summary>Opacity, which only weights the colours where the image is resized; null where every pixel is opaque.</summary>
    public byte[]? Alpha { get; }
}
