using SkiaSharp;

namespace Microsoft.ML.Dpl.Images;

/// <summary>Turns and mirrors an image as the orientation in its file asks, as PIL's <c>ImageOps.exif_transpose</c> does.</summary>
internal static class ExifOrientation
{
    /// <summary>The image upright: a new one, or the same where nothing is to be done.</summary>
    /// <param name="image">As it is stored.</param>
    /// <param name="origin">Where its first row and column belong, numbered as in EXIF.</param>
    public static RgbImage Upright(RgbImage image, SKEncodedOrigin origin)
    {
        (int width, int height) = (image.Width, image.Height);
        return origin switch
        {
            SKEncodedOrigin.TopRight => Mapped(image, width, height, (x, y) => (width - 1 - x, y)),
            SKEncodedOrigin.BottomRight => Mapped(image, width, height, (x, y) => (width - 1 - x, height - 1 - y)),
            SKEncodedOrigin.BottomLeft => Mapped(image, width, height, (x, y) => (x, height - 1 - y)),
            SKEncodedOrigin.LeftTop => Mapped(image, height, width, (x, y) => (y, x)),
            SKEncodedOrigin.RightTop => Mapped(image, height, width, (x, y) => (y, height - 1 - x)),
            SKEncodedOrigin.RightBottom => Mapped(image, height, width, (x, y) => (width - 1 - y, height - 1 - x)),
            SKEncodedOrigin.LeftBottom => Mapped(image, height, width, (x, y) => (width - 1 - y, x)),
            _ => image,
        };
    }

    /// <param name="image">The source.</param>
    /// <param name="width">Of the result.</param>
    /// <param name="height">Of the result.</param>
    /// <param name="sourceOf">Column and row of the source for those of the result.</param>
    private static RgbImage Mapped(RgbImage image, int width, int height, Func<int, int, (int X, int Y)> sourceOf)
    {
        byte[] pixels = GC.AllocateUninitializedArray<byte>(image.Pixels.Length);
        byte[]? alpha = image.Alpha is null ? null : GC.AllocateUninitializedArray<byte>(image.Alpha.Length);
        for (int y = 0, to = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++, to++)
            {
                (int sourceX, int sourceY) = sourceOf(x, y);
                int from = sourceY * image.Width + sourceX;
                image.Pixels.AsSpan(3 * from, 3).CopyTo(pixels.AsSpan(3 * to));
                if (alpha is not null)
                    alpha[to] = image.Alpha![from];
            }
        }
        return new RgbImage(width, height, pixels, alpha);
    }
}
