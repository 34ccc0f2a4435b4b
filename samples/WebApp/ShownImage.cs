using Microsoft.ML.Data;
using SkiaSharp;

namespace WebApp;

/// <summary>Images at a size suitable for display.</summary>
internal static class ShownImage
{
    private const int LongestSide = 768,
        Quality = 85;

    /// <summary>Decodes an image file and shrinks it if it is large.</summary>
    /// <returns>An RGBA image, which the caller disposes.</returns>
    /// <exception cref="InvalidOperationException">The file cannot be decoded.</exception>
    public static MLImage Decode(byte[] file)
    {
        using SKBitmap full = SKBitmap.Decode(file) ?? throw new InvalidOperationException("The image cannot be decoded.");
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
        return MLImage.CreateFromPixels(info.Width, info.Height, MLPixelFormat.Rgba32, shown.GetPixelSpan());
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
}
