using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using SkiaSharp;

namespace WebApp;

/// <summary>Images at a size suitable for display.</summary>
internal static class ShownImage
{
    private const int LongestSide = 768,
        Quality = 85;

    /// <summary>Decodes an image file and shrinks it if it is large.</summary>
    /// <param name="file">An encoded image file.</param>
    /// <param name="applyExifOrientation">Whether to rotate and mirror the image according to its EXIF orientation.</param>
    /// <returns>An RGBA image, which the caller disposes.</returns>
    /// <exception cref="InvalidOperationException">The file cannot be decoded.</exception>
    public static MLImage Decode(byte[] file, bool applyExifOrientation)
    {
        using SKData data = SKData.CreateCopy(file);
        using SKCodec codec = SKCodec.Create(data) ?? throw new InvalidOperationException("The image cannot be decoded.");
        using SKBitmap full = SKBitmap.Decode(codec) ?? throw new InvalidOperationException("The image cannot be decoded.");
        double scale = Math.Min(1, (double)LongestSide / Math.Max(full.Width, full.Height));
        // Unpremultiplied alpha, as the model reads images.
        var info = new SKImageInfo(
            Math.Max(1, (int)Math.Round(full.Width * scale)),
            Math.Max(1, (int)Math.Round(full.Height * scale)),
            SKColorType.Rgba8888,
            SKAlphaType.Unpremul
        );
        using SKBitmap shown = full.Resize(info, SKFilterQuality.High)
            ?? throw new InvalidOperationException("The image cannot be shrunk.");
        SKEncodedOrigin origin = applyExifOrientation ? codec.EncodedOrigin : SKEncodedOrigin.TopLeft;
        return Upright(shown.GetPixelSpan(), info.Width, info.Height, origin);
    }

    /// <summary>Encodes an image as a <c>data:</c> URL.</summary>
    /// <param name="image">An RGBA image.</param>
    public static string ToAddress(MLImage image)
    {
        using SKImage encodable = SKImage.FromPixelCopy(
            new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul),
            image.Pixels
        );
        using SKData data = encodable.Encode(SKEncodedImageFormat.Webp, Quality);
        return $"data:image/webp;base64,{Convert.ToBase64String(data.AsSpan())}";
    }

    /// <summary>Creates an upright image from RGBA pixels.</summary>
    /// <param name="pixels">The pixels as they are stored, row by row.</param>
    /// <param name="width">Width as stored.</param>
    /// <param name="height">Height as stored.</param>
    /// <param name="origin">The position of the first stored row and column.</param>
    private static MLImage Upright(ReadOnlySpan<byte> pixels, int width, int height, SKEncodedOrigin origin)
    {
        // From the fifth origin on, the stored rows are the columns of the image.
        bool exchanged = origin >= SKEncodedOrigin.LeftTop;
        (int uprightWidth, int uprightHeight) = exchanged ? (height, width) : (width, height);
        ReadOnlySpan<uint> stored = MemoryMarshal.Cast<byte, uint>(pixels);
        var upright = new uint[stored.Length];
        for (int y = 0, to = 0; y < uprightHeight; y++)
        {
            for (int x = 0; x < uprightWidth; x++, to++)
            {
                (int column, int row) = origin switch
                {
                    SKEncodedOrigin.TopRight => (width - 1 - x, y),
                    SKEncodedOrigin.BottomRight => (width - 1 - x, height - 1 - y),
                    SKEncodedOrigin.BottomLeft => (x, height - 1 - y),
                    SKEncodedOrigin.LeftTop => (y, x),
                    SKEncodedOrigin.RightTop => (y, height - 1 - x),
                    SKEncodedOrigin.RightBottom => (width - 1 - y, height - 1 - x),
                    SKEncodedOrigin.LeftBottom => (width - 1 - y, x),
                    _ => (x, y),
                };
                upright[to] = stored[row * width + column];
            }
        }
        return MLImage.CreateFromPixels(uprightWidth, uprightHeight, MLPixelFormat.Rgba32, MemoryMarshal.AsBytes(upright.AsSpan()));
    }
}
