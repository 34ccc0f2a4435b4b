using SkiaSharp;
using static Microsoft.ML.Dpl.Tests.Images.ImageBytes;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Small images in every supported format.</summary>
internal static class ImageSeeds
{
    public static byte[][] All { get; } =
    [
        Png(4, 4, 8, Colour, [.. Enumerable.Range(0, 48).Select(i => (byte)(i * 5))]),
        Png(4, 4, 16, Grey, [.. Enumerable.Range(0, 32).Select(i => (byte)(i * 7))]),
        Png(4, 4, 8, Palette, [0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]),
        Png(2, 2, 8, ColourAlpha, [.. Enumerable.Range(0, 16).Select(i => (byte)(i * 16))]),
        FlatJpeg(200),
        FlatJpeg(200, 100, 90),
        FlatJpeg(255, 0, 0, 255),
        Oriented(FlatJpeg(90, 128, 128), 6),
        Encoded(Noise(), SKEncodedImageFormat.Jpeg),
        Encoded(Noise(), SKEncodedImageFormat.Png),
        Encoded(Noise(), SKEncodedImageFormat.Webp),
        Lossy(),
        AnimatedGif(),
        AnimatedWebp(4, 4, SKColors.Red, SKColors.Blue),
        Bmp(),
    ];

    private static SKBitmap Noise()
    {
        var bitmap = new SKBitmap(new SKImageInfo(24, 16, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        var random = new Random(3);
        for (int y = 0; y < bitmap.Height; y++)
        for (int x = 0; x < bitmap.Width; x++)
            bitmap.SetPixel(
                x,
                y,
                new SKColor((byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256), (byte)(x < 12 ? 255 : random.Next(256)))
            );
        return bitmap;
    }

    private static byte[] Lossy()
    {
        using SKBitmap noise = Noise();
        using SKData data = noise.Encode(SKEncodedImageFormat.Webp, 50);
        return data.ToArray();
    }

    /// <summary>A BMP file of 2 × 2 pixels with 24 bits each.</summary>
    private static byte[] Bmp() =>
        [
            .. "BM"u8,
            70,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            54,
            0,
            0,
            0,
            40,
            0,
            0,
            0,
            2,
            0,
            0,
            0,
            2,
            0,
            0,
            0,
            1,
            0,
            24,
            0,
            0,
            0,
            0,
            0,
            16,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            1,
            2,
            3,
            4,
            5,
            6,
            0,
            0,
            7,
            8,
            9,
            10,
            11,
            12,
            0,
            0,
        ];
}
