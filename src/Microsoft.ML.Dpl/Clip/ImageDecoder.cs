using Microsoft.ML.Data;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// Decodes pictures to plain red, green and blue as CLIP's reference preprocessing does: palettes and greys expanded, 16-bit samples cut to 8,
/// alpha kept apart and never blended, colour profiles and EXIF orientation ignored. Thread-safe.
/// </summary>
internal static class ImageDecoder
{
    /// <summary>Pictures of more pixels are refused before they are decoded, unless the caller sets another bound.</summary>
    public const long DefaultMaximumPixels = 100_000_000;

    /// <summary>Reads and decodes a file, which is closed again before this returns.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is no picture that can be decoded, or one of too many pixels.</exception>
    public static RgbImage FromFile(string path, long maximumPixels = DefaultMaximumPixels)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new FileNotFoundException($"Picture '{path}' does not exist.", path, e);
        }
        return FromBytes(bytes, path, maximumPixels);
    }

    /// <summary>Decodes a picture file held in memory.</summary>
    /// <param name="bytes">The whole file: PNG, JPEG, GIF (its first frame), BMP, WebP and whatever else Skia reads.</param>
    /// <param name="name">What messages call the picture.</param>
    /// <param name="maximumPixels">The most pixels (width × height) that are decoded.</param>
    /// <exception cref="InvalidDataException">The bytes are no picture that can be decoded, or one of too many pixels.</exception>
    public static unsafe RgbImage FromBytes(ReadOnlySpan<byte> bytes, string name, long maximumPixels = DefaultMaximumPixels)
    {
        if (bytes.IsEmpty) throw new InvalidDataException($"Picture '{name}' is empty.");
        fixed (byte* start = bytes)
        {
            using SKData data = SKData.Create((nint)start, bytes.Length);
            using SKCodec codec = SKCodec.Create(data)
                ?? throw new InvalidDataException($"Picture '{name}' cannot be decoded: it is no PNG, JPEG, GIF, BMP or WebP file.");
            (int width, int height) = (codec.Info.Width, codec.Info.Height);
            maximumPixels = Math.Min(maximumPixels, Array.MaxLength / 4);
            if ((long)width * height > maximumPixels)
                throw new InvalidDataException($"Picture '{name}' has {width} × {height} pixels, more than the {maximumPixels} that are allowed.");

            // Not premultiplied, so that the colours under transparent pixels survive; no colour space, so that none is converted.
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, codec.Info.IsOpaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul);
            byte[] rgba = GC.AllocateUninitializedArray<byte>(checked(width * height * 4));
            fixed (byte* target = rgba)
            {
                SKCodecResult result = codec.GetPixels(info, (nint)target);
                if (result == SKCodecResult.IncompleteInput) throw new InvalidDataException($"Picture '{name}' is cut short: its pixels end before its last row.");
                if (result != SKCodecResult.Success) throw new InvalidDataException($"Picture '{name}' cannot be decoded: {result}.");
            }
            return new RgbImage(width, height, Colours(rgba, blueFirst: false), Alpha(rgba));
        }
    }

    /// <summary>Copies an ML.NET picture's colours; it stays its owner's.</summary>
    /// <remarks>
    /// ML.NET multiplies the colours of a file by its alpha while loading. Where every pixel looks so (no colour above its alpha), the colours are divided again,
    /// which is what <see cref="FromFile"/> gives up to rounding, but for wholly transparent pixels, which are black.
    /// </remarks>
    /// <exception cref="InvalidDataException">The pixel format is neither BGRA nor RGBA with 8 bits each.</exception>
    public static RgbImage FromMLImage(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (image.PixelFormat is not (MLPixelFormat.Bgra32 or MLPixelFormat.Rgba32))
            throw new InvalidDataException($"The picture's pixel format is {image.PixelFormat}; Bgra32 and Rgba32 are understood.");

        ReadOnlySpan<byte> pixels = image.Pixels;
        byte[] colours = Colours(pixels, blueFirst: image.PixelFormat == MLPixelFormat.Bgra32);
        byte[]? alpha = Alpha(pixels);
        if (alpha is not null && !alpha.AsSpan().ContainsAnyExcept((byte)0)) alpha = null; // made from pixels whose fourth byte is unused
        if (alpha is not null && IsPremultiplied(colours, alpha)) DivideByAlpha(colours, alpha);
        return new RgbImage(image.Width, image.Height, colours, alpha);
    }

    private static byte[] Colours(ReadOnlySpan<byte> pixels, bool blueFirst)
    {
        byte[] rgb = GC.AllocateUninitializedArray<byte>(pixels.Length / 4 * 3);
        (int red, int blue) = blueFirst ? (2, 0) : (0, 2);
        for (int from = 0, to = 0; to < rgb.Length; from += 4, to += 3)
            (rgb[to], rgb[to + 1], rgb[to + 2]) = (pixels[from + red], pixels[from + 1], pixels[from + blue]);
        return rgb;
    }

    /// <summary>Null where all pixels are opaque.</summary>
    private static byte[]? Alpha(ReadOnlySpan<byte> pixels)
    {
        byte[]? alpha = null;
        for (int i = 3; i < pixels.Length; i += 4)
        {
            if (pixels[i] == byte.MaxValue) continue;
            if (alpha is null) Array.Fill(alpha = new byte[pixels.Length / 4], byte.MaxValue);
            alpha[i / 4] = pixels[i];
        }
        return alpha;
    }

    private static bool IsPremultiplied(byte[] colours, byte[] alpha)
    {
        for (int i = 0; i < colours.Length; i++)
            if (colours[i] > alpha[i / 3]) return false;
        return true;
    }

    private static void DivideByAlpha(byte[] colours, byte[] alpha)
    {
        for (int i = 0; i < colours.Length; i++)
            if (alpha[i / 3] is > 0 and byte a) colours[i] = (byte)((colours[i] * byte.MaxValue + a / 2) / a);
    }
}
