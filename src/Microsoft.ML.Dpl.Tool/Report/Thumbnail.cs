using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>Small images that are embedded in the page.</summary>
internal static class Thumbnail
{
    private const int Quality = 80,
        ExplainedSide = 768;
    private const long MaximumPixels = 100_000_000;

    /// <summary>Reads and shrinks an image file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="side">Longest side in pixels.</param>
    /// <param name="applyExif">Whether the image is rotated and mirrored according to its EXIF orientation.</param>
    /// <returns>A <c>data:</c> URL; null if the file is missing or cannot be decoded.</returns>
    public static string? Address(string path, int side, bool applyExif)
    {
        using SKBitmap? image = Decode(path, side, applyExif);
        return image is null ? null : Encode(image);
    }

    /// <summary>Reads an image file and overlays the heat map of the evidence for a class.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="side">Longest side in pixels.</param>
    /// <param name="model">The model that explains the image, which it also rotates and mirrors as in prediction; not disposed.</param>
    /// <param name="className">The class.</param>
    /// <returns>A <c>data:</c> URL; null if the file is missing or cannot be decoded.</returns>
    public static string? HeatMap(string path, int side, DplTransformer model, string className)
    {
        using SKBitmap? large = Decode(path, ExplainedSide, model.ApplyExifOrientation);
        if (large is null)
            return null;
        using MLImage image = MLImage.CreateFromPixels(large.Width, large.Height, MLPixelFormat.Rgba32, large.GetPixelSpan());
        using MLImage drawn = model.Explain(image, className).Draw(image);
        using SKImage copy = SKImage.FromPixelCopy(large.Info, drawn.Pixels);
        using SKBitmap map = SKBitmap.FromImage(copy);
        using SKBitmap small = Shrink(map, side);
        return Encode(small);
    }

    /// <summary>Decodes an image file; null if it is missing, too large or cannot be decoded. The caller disposes the bitmap.</summary>
    private static SKBitmap? Decode(string path, int side, bool applyExif)
    {
        if (!File.Exists(path))
            return null;
        using SKCodec? codec = SKCodec.Create(path);
        if (codec is null || (long)codec.Info.Width * codec.Info.Height > MaximumPixels)
            return null;
        // JPEG can be decoded at a fraction of its size in a fraction of the time; decode to twice the wanted size, so that it can be
        // shrunk smoothly.
        SKSizeI size = codec.GetScaledDimensions(Math.Min(1, 2f * side / Math.Max(codec.Info.Width, codec.Info.Height)));
        // Unpremultiplied alpha, as the model reads images.
        using SKBitmap? full = SKBitmap.Decode(codec, new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        if (full is null)
            return null;
        SKBitmap small = Shrink(full, side);
        if (!applyExif || codec.EncodedOrigin == SKEncodedOrigin.TopLeft)
            return small;
        using (small)
            return Upright(small, codec.EncodedOrigin);
    }

    /// <summary>Returns a copy that is rotated and mirrored according to an EXIF orientation, as the model reads images. The caller
    /// disposes it.</summary>
    /// <param name="image">The bitmap with four bytes per pixel, as <see cref="Shrink"/> returns it; not disposed.</param>
    /// <param name="origin">The position of the first row and column, numbered as in EXIF.</param>
    private static SKBitmap Upright(SKBitmap image, SKEncodedOrigin origin)
    {
        (int[] pixels, int width, int height) = ExifOrientation.Upright<int>(
            MemoryMarshal.Cast<byte, int>(image.GetPixelSpan()),
            image.Width,
            image.Height,
            origin
        );
        var upright = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        Marshal.Copy(pixels, 0, upright.GetPixels(), pixels.Length);
        return upright;
    }

    private static SKBitmap Shrink(SKBitmap full, int side)
    {
        double scale = Math.Min(1, (double)side / Math.Max(full.Width, full.Height));
        var info = new SKImageInfo(
            Math.Max(1, (int)Math.Round(full.Width * scale)),
            Math.Max(1, (int)Math.Round(full.Height * scale)),
            SKColorType.Rgba8888,
            SKAlphaType.Unpremul
        );
        return full.Resize(info, SKFilterQuality.High)
            ?? throw new InvalidOperationException($"An image of {full.Width} × {full.Height} pixels cannot be shrunk.");
    }

    private static string Encode(SKBitmap image)
    {
        using SKData data = image.Encode(SKEncodedImageFormat.Webp, Quality);
        return "data:image/webp;base64," + Convert.ToBase64String(data.AsSpan());
    }
}
