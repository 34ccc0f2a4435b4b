using SkiaSharp;

namespace Microsoft.ML.Dpl.Images;

/// <summary>Rotates and mirrors images according to their EXIF orientation, like PIL's <c>ImageOps.exif_transpose</c>.</summary>
internal static class ExifOrientation
{
    /// <summary>Returns pixels upright.</summary>
    /// <param name="pixels">The pixels as they are stored, row by row.</param>
    /// <param name="width">Width as stored.</param>
    /// <param name="height">Height as stored.</param>
    /// <param name="origin">The position of the first row and column, numbered as in EXIF.</param>
    /// <returns>The upright pixels, their width and their height.</returns>
    public static (T[] Pixels, int Width, int Height) Upright<T>(ReadOnlySpan<T> pixels, int width, int height, SKEncodedOrigin origin)
    {
        // The orientations from 5 on exchange rows and columns.
        (int uprightWidth, int uprightHeight) = origin >= SKEncodedOrigin.LeftTop ? (height, width) : (width, height);
        int right = width - 1,
            bottom = height - 1;
        T[] upright = GC.AllocateUninitializedArray<T>(pixels.Length);
        for (int y = 0, to = 0; y < uprightHeight; y++)
        {
            for (int x = 0; x < uprightWidth; x++, to++)
            {
                (int column, int row) = origin switch
                {
                    SKEncodedOrigin.TopRight => (right - x, y),
                    SKEncodedOrigin.BottomRight => (right - x, bottom - y),
                    SKEncodedOrigin.BottomLeft => (x, bottom - y),
                    SKEncodedOrigin.LeftTop => (y, x),
                    SKEncodedOrigin.RightTop => (y, bottom - x),
                    SKEncodedOrigin.RightBottom => (right - y, bottom - x),
                    SKEncodedOrigin.LeftBottom => (right - y, x),
                    _ => (x, y),
                };
                upright[to] = pixels[row * width + column];
            }
        }
        return (upright, uprightWidth, uprightHeight);
    }
}
