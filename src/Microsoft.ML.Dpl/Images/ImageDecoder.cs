using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Images;

/// <summary>
/// Decodes images to plain red, green and blue as CLIP's reference preprocessing does: palettes and greys expanded, 16-bit samples cut to
/// 8, alpha kept apart and never blended, colour profiles ignored, EXIF orientation too unless it is asked for. Thread-safe.
/// </summary>
internal static class ImageDecoder
{
    /// <summary>Images of more pixels are refused before they are decoded, unless the caller sets another bound: PIL's.</summary>
    public const long DefaultMaximumPixels = 178_956_970;

    /// <summary>The most pixels that can be asked for: four bytes each must fit into one array.</summary>
    public static long LargestMaximumPixels => Array.MaxLength / 4;

    /// <summary>Reads and decodes a file, which is closed again before this returns.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The path names no image that can be decoded, or one of too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static RgbImage FromFile(string path, long maximumPixels = DefaultMaximumPixels, bool applyExifOrientation = false) =>
        FromBytes(ImageFile.Read(path), path, maximumPixels, applyExifOrientation);

    /// <summary>Decodes an image file held in memory.</summary>
    /// <param name="bytes">The whole file: PNG, JPEG, GIF (its first frame), BMP or WebP (its first frame).</param>
    /// <param name="name">What messages call the image.</param>
    /// <param name="maximumPixels">The most pixels (width × height) that are decoded; the header tells before anything is.</param>
    /// <param name="applyExifOrientation">Whether the image is turned and mirrored as its file asks.</param>
    /// <exception cref="InvalidDataException">The bytes are no image that can be decoded, or one of too many pixels.</exception>
    public static unsafe RgbImage FromBytes(
        ReadOnlySpan<byte> bytes,
        string name,
        long maximumPixels = DefaultMaximumPixels,
        bool applyExifOrientation = false
    )
    {
        name = ShownText.Of(name);
        if (bytes.IsEmpty)
            throw new InvalidDataException($"Image '{name}' is empty.");
        if (!ImageSignature.IsReadable(bytes))
            throw new InvalidDataException(
                $"Image '{name}' cannot be decoded: it is {ImageSignature.NameOfOther(bytes) ?? "no image"}, not a "
                    + $"{ImageSignature.Readable} file."
            );
        fixed (byte* start = bytes)
        {
            using SKData data = SKData.Create((nint)start, bytes.Length);
            using SKCodec codec = SKCodec.Create(data)
                ?? throw new InvalidDataException(
                    $"Image '{name}' cannot be decoded: it begins as a {ImageSignature.Readable} file does, but its header is damaged."
                );
            (int width, int height) = (codec.Info.Width, codec.Info.Height);
            maximumPixels = Math.Min(maximumPixels, LargestMaximumPixels);
            if ((long)width * height > maximumPixels)
                throw new InvalidDataException(
                    $"Image '{name}' has {width} × {height} pixels, more than the {maximumPixels} that are allowed (MaxImagePixels)."
                );

            // Not premultiplied, so that the colours under transparent pixels survive; no colour space, so that none is converted.
            var info = new SKImageInfo(
                width,
                height,
                SKColorType.Rgba8888,
                codec.Info.IsOpaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul
            );
            byte[] rgba = GC.AllocateUninitializedArray<byte>(checked(width * height * 4));
            fixed (byte* target = rgba)
            {
                SKCodecResult result = codec.GetPixels(info, (nint)target);
                if (result == SKCodecResult.IncompleteInput)
                    throw new InvalidDataException($"Image '{name}' is cut short: its pixels end before its last row.");
                if (result != SKCodecResult.Success)
                    throw new InvalidDataException($"Image '{name}' cannot be decoded: {result}.");
            }
            var image = new RgbImage(width, height, Colours(rgba, blueFirst: false), Alpha(rgba));
            return applyExifOrientation ? ExifOrientation.Upright(image, codec.EncodedOrigin) : image;
        }
    }

    /// <summary>Copies an ML.NET image's colours; it stays its owner's.</summary>
    /// <remarks>
    /// ML.NET multiplies the colours of a file by its alpha while loading. Where every pixel looks so (no colour above its alpha), the
    /// colours are divided again, which is what <see cref="FromFile"/> gives up to rounding, but for wholly transparent pixels, which are
    /// black.
    /// </remarks>
    /// <exception cref="InvalidDataException">The pixel format is neither BGRA nor RGBA with 8 bits each.</exception>
    public static RgbImage FromMLImage(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (image.PixelFormat is not (MLPixelFormat.Bgra32 or MLPixelFormat.Rgba32))
            throw new InvalidDataException($"The image's pixel format is {image.PixelFormat}; Bgra32 and Rgba32 are understood.");

        ReadOnlySpan<byte> pixels = image.Pixels;
        byte[] colours = Colours(pixels, blueFirst: image.PixelFormat == MLPixelFormat.Bgra32);
        byte[]? alpha = Alpha(pixels);
        if (alpha is not null && !alpha.AsSpan().ContainsAnyExcept((byte)0))
            alpha = null; // made from pixels whose fourth byte is unused
        if (alpha is not null && IsPremultiplied(colours, alpha))
            DivideByAlpha(colours, alpha);
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
            if (pixels[i] == byte.MaxValue)
                continue;
            if (alpha is null)
                Array.Fill(alpha = new byte[pixels.Length / 4], byte.MaxValue);
            alpha[i / 4] = pixels[i];
        }
        return alpha;
    }

    private static bool IsPremultiplied(byte[] colours, byte[] alpha)
    {
        for (int i = 0; i < colours.Length; i++)
            if (colours[i] > alpha[i / 3])
                return false;
        return true;
    }

    private static void DivideByAlpha(byte[] colours, byte[] alpha)
    {
        for (int i = 0; i < colours.Length; i++)
            if (alpha[i / 3] is > 0 and byte a)
                colours[i] = (byte)((colours[i] * byte.MaxValue + a / 2) / a);
    }
}
