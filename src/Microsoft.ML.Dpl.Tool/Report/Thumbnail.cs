using Microsoft.ML.Data;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>Small images that are part of the page.</summary>
internal static class Thumbnail
{
    private const int Quality = 80,
        ExplainedSide = 768;
    private const long MaximumPixels = 100_000_000;

    /// <summary>An image file, small.</summary>
    /// <param name="path">Of the file.</param>
    /// <param name="side">Longest side in pixels.</param>
    /// <returns>A <c>data:</c> address; null where the file is gone or cannot be decoded.</returns>
    public static string? Address(string path, int side)
    {
        using SKBitmap? image = Decode(path, side);
        return image is null ? null : Encode(image);
    }

    /// <summary>An image file with the map of what speaks for a class.</summary>
    /// <param name="path">Of the file.</param>
    /// <param name="side">Longest side in pixels.</param>
    /// <param name="model">Explains; not owned.</param>
    /// <param name="className">The class.</param>
    /// <returns>A <c>data:</c> address; null where the file is gone or cannot be decoded.</returns>
    public static string? HeatMap(string path, int side, DplTransformer model, string className)
    {
        using SKBitmap? large = Decode(path, ExplainedSide);
        if (large is null)
            return null;
        using MLImage image = MLImage.CreateFromPixels(large.Width, large.Height, MLPixelFormat.Rgba32, large.GetPixelSpan());
        using MLImage drawn = model.Explain(image, className).Draw(image);
        using SKImage copy = SKImage.FromPixelCopy(large.Info, drawn.Pixels);
        using SKBitmap map = SKBitmap.FromImage(copy);
        using SKBitmap small = Shrink(map, side);
        return Encode(small);
    }

    /// <summary>The caller disposes it.</summary>
    private static SKBitmap? Decode(string path, int side)
    {
        if (!File.Exists(path))
            return null;
        using SKCodec? codec = SKCodec.Create(path);
        if (codec is null || (long)codec.Info.Width * codec.Info.Height > MaximumPixels)
            return null;
        // JPEG decodes to a fraction of its size for a fraction of the time; twice what is wanted is left to shrink smoothly.
        SKSizeI size = codec.GetScaledDimensions(Math.Min(1, 2f * side / Math.Max(codec.Info.Width, codec.Info.Height)));
        // As the model reads them: colours are not multiplied by alpha.
        using SKBitmap? full = SKBitmap.Decode(codec, new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        return full is null ? null : Shrink(full, side);
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
