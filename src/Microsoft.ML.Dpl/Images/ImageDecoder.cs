using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Images;

/// <summary>A decoded image: 8-bit red, green, blue, row by row.</summary>
internal sealed class RgbImage
{
    /// <param name="width">Width in pixels, at least 1.</param>
    /// <param name="height">Height in pixels, at least 1.</param>
    /// <param name="pixels">[height, width, 3], not multiplied by alpha.</param>
    /// <param name="alpha">[height, width], or null if every pixel is opaque.</param>
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

    /// <summary>Alpha, which is used only to weight the colours when the image is resized; null if every pixel is opaque.</summary>
    public byte[]? Alpha { get; }

    /// <summary>Returns the image upright: a new image, or the same one if it is upright already.</summary>
    /// <param name="origin">The position of the first row and column, numbered as in EXIF.</param>
    public RgbImage Upright(SKEncodedOrigin origin)
    {
        if (origin is <= SKEncodedOrigin.TopLeft or > SKEncodedOrigin.LeftBottom)
            return this;
        (Rgb[] colours, int width, int height) = ExifOrientation.Upright<Rgb>(MemoryMarshal.Cast<byte, Rgb>(Pixels), Width, Height, origin);
        byte[]? alpha = Alpha is null ? null : ExifOrientation.Upright<byte>(Alpha, Width, Height, origin).Pixels;
        return new RgbImage(width, height, MemoryMarshal.AsBytes<Rgb>(colours).ToArray(), alpha);
    }

    private readonly record struct Rgb(byte Red, byte Green, byte Blue);
}

/// <summary>
/// Decodes images to RGB like CLIP's reference preprocessing: palettes and greyscale are expanded, 16-bit samples truncated to 8 bits,
/// alpha is kept separately and never blended, and colour profiles are ignored, as is the EXIF orientation unless requested. Thread-safe.
/// </summary>
internal static class ImageDecoder
{
    /// <summary>Images with more pixels are rejected before decoding, unless the caller sets another limit. This is PIL's limit.</summary>
    public const long DefaultMaximumPixels = 178_956_970;

    // Four bytes per pixel as decoded and three as stored; alpha takes one more.
    private const long BytesToDecode = 7;

    /// <summary>The highest limit on pixels that can be set: four bytes per pixel must fit into one array.</summary>
    public static long LargestMaximumPixels => Array.MaxLength / 4;

    /// <summary>Reads and decodes a file, which is closed before this returns.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    public static RgbImage FromFile(string path, long maximumPixels = DefaultMaximumPixels, bool applyExifOrientation = false) =>
        FromBytes(ImageFile.Read(path), path, maximumPixels, applyExifOrientation);

    /// <summary>Decodes an image file held in memory.</summary>
    /// <param name="bytes">The whole file: PNG, JPEG, GIF (its first frame), BMP or WebP (its first frame).</param>
    /// <param name="name">The image's name in error messages.</param>
    /// <param name="maximumPixels">The maximum number of pixels (width × height); checked against the header before decoding.</param>
    /// <param name="applyExifOrientation">Whether to rotate and mirror the image according to its EXIF orientation.</param>
    /// <exception cref="InvalidDataException">The bytes are not an image that can be decoded, or it has too many pixels.</exception>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for the pixels.</exception>
    public static unsafe RgbImage FromBytes(
        ReadOnlySpan<byte> bytes,
        string name,
        long maximumPixels = DefaultMaximumPixels,
        bool applyExifOrientation = false
    )
    {
        name = ShownText.Escape(name);
        if (bytes.IsEmpty)
            throw new InvalidDataException($"Image '{name}' is empty.");
        if (!ImageSignature.IsReadable(bytes))
            throw new InvalidDataException(
                GitLfsPointer.IsBeginning(bytes)
                    ? $"Image '{name}' cannot be decoded: it is {GitLfsPointer.Advice}."
                    : $"Image '{name}' cannot be decoded: it is {ImageSignature.NameOfOther(bytes) ?? "no image"}, not a "
                        + $"{ImageSignature.Readable} file."
            );
        fixed (byte* start = bytes)
        {
            using SKData data = SKData.Create((nint)start, bytes.Length);
            using SKCodec codec = SKCodec.Create(data)
                ?? throw new InvalidDataException(
                    $"Image '{name}' cannot be decoded: it begins like a {ImageSignature.Readable} file, but its header is damaged."
                );
            (int width, int height) = (codec.Info.Width, codec.Info.Height);
            maximumPixels = Math.Min(maximumPixels, LargestMaximumPixels);
            if ((long)width * height > maximumPixels)
                throw new InvalidDataException(
                    $"Image '{name}' has {width} × {height} pixels, more than the {maximumPixels} that are allowed (Images.MaxPixels)."
                );

            // Unpremultiplied, so that the colours of transparent pixels are preserved; without a colour space, so that colours are not
            // converted.
            var info = new SKImageInfo(
                width,
                height,
                SKColorType.Rgba8888,
                codec.Info.IsOpaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul
            );
            try
            {
                byte[] rgba = GC.AllocateUninitializedArray<byte>(checked(width * height * 4));
                fixed (byte* target = rgba)
                {
                    SKCodecResult result = codec.GetPixels(info, (nint)target);
                    if (result == SKCodecResult.IncompleteInput)
                        throw new InvalidDataException($"Image '{name}' is cut short: its pixels end before its last row.");
                    if (result != SKCodecResult.Success)
                        throw new InvalidDataException($"Image '{name}' cannot be decoded: {result}.");
                }
                byte[]? alpha = IsPngWithoutAlpha(bytes) ? null : Alpha(rgba);
                var image = new RgbImage(width, height, Colours(rgba, blueFirst: false), alpha);
                return applyExifOrientation ? image.Upright(codec.EncodedOrigin) : image;
            }
            catch (OutOfMemoryException e)
            {
                throw TooLarge($"Image '{name}'", width, height, e);
            }
        }
    }

    private static InsufficientMemoryException TooLarge(string image, int width, int height, OutOfMemoryException e) =>
        new(
            $"{image} has {width} × {height} pixels, and there is not enough memory for the {(BytesToDecode * width * height >> 20) + 1} "
                + "MiB that decoding them takes. Make it smaller.",
            e
        );

    /// <summary>Copies the pixels of an ML.NET image, which is still owned by the caller.</summary>
    /// <remarks>
    /// ML.NET premultiplies the colours by alpha when it loads a file. If every pixel looks premultiplied (no colour above its alpha), the
    /// colours are divided by alpha, which gives the same as <see cref="FromFile"/> up to rounding, except that fully transparent pixels
    /// are black.
    /// </remarks>
    /// <exception cref="InvalidDataException">The pixel format is neither BGRA nor RGBA with 8 bits each.</exception>
    public static RgbImage FromMLImage(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (image.PixelFormat is not (MLPixelFormat.Bgra32 or MLPixelFormat.Rgba32))
            throw new InvalidDataException($"The image's pixel format is {image.PixelFormat}; Bgra32 and Rgba32 are understood.");

        try
        {
            ReadOnlySpan<byte> pixels = image.Pixels;
            byte[] colours = Colours(pixels, blueFirst: image.PixelFormat == MLPixelFormat.Bgra32);
            byte[]? alpha = Alpha(pixels);
            if (alpha is not null && !alpha.AsSpan().ContainsAnyExcept((byte)0))
                alpha = null; // the image was created from pixels whose fourth byte is unused
            if (alpha is not null && IsPremultiplied(colours, alpha))
                DivideByAlpha(colours, alpha);
            return new RgbImage(image.Width, image.Height, colours, alpha);
        }
        catch (OutOfMemoryException e)
        {
            throw TooLarge("The image", image.Width, image.Height, e);
        }
    }

    private static byte[] Colours(ReadOnlySpan<byte> pixels, bool blueFirst)
    {
        byte[] rgb = GC.AllocateUninitializedArray<byte>(pixels.Length / 4 * 3);
        (int red, int blue) = blueFirst ? (2, 0) : (0, 2);
        for (int from = 0, to = 0; to < rgb.Length; from += 4, to += 3)
            (rgb[to], rgb[to + 1], rgb[to + 2]) = (pixels[from + red], pixels[from + 1], pixels[from + blue]);
        return rgb;
    }

    /// <summary>Whether a file is a PNG without an alpha channel. A transparent palette entry or colour then only marks pixels, whose
    /// colours PIL keeps when it resizes an image or converts it to RGB.</summary>
    private static bool IsPngWithoutAlpha(ReadOnlySpan<byte> bytes)
    {
        const int colourType = 25;
        const byte alphaBit = 4;
        return bytes.Length > colourType && bytes[1..].StartsWith("PNG"u8) && (bytes[colourType] & alphaBit) == 0;
    }

    /// <summary>The alpha channel; null if all pixels are opaque.</summary>
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

/// <summary>Reads the bytes of an image file, or reports what else is at the path.</summary>
internal static class ImageFile
{
    /// <param name="path">The path. Only a regular file is opened, because reading a pipe or a device could block forever.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The path is that of a folder, or of a file that is empty, larger than 2 GB or not a regular
    /// file; or it contains the character 0.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    public static byte[] Read(string path)
    {
        if (path.Contains('\0', StringComparison.Ordinal))
            throw new InvalidDataException($"Image '{ShownText.Escape(path)}' is not a path: it contains a null character.");
        if (Directory.Exists(path))
            throw new InvalidDataException($"Image '{ShownText.Escape(path)}' is a folder. Give the path of an image file.");
        try
        {
            var named = new FileInfo(path);
            // The length of a symbolic link is not that of its target.
            long length = ((FileInfo?)named.ResolveLinkTarget(returnFinalTarget: true) ?? named).Length;
            if (length == 0)
                throw new InvalidDataException($"Image '{ShownText.Escape(path)}' is empty, or not a regular file.");
            if (length > Array.MaxLength)
                throw new InvalidDataException(
                    $"Image '{ShownText.Escape(path)}' has {length} bytes, more than the {Array.MaxLength} that an image file can have "
                        + "here."
                );
            try
            {
                return File.ReadAllBytes(path);
            }
            catch (OutOfMemoryException e)
            {
                throw new InsufficientMemoryException(
                    $"Image '{ShownText.Escape(path)}' has {length >> 20} MiB, and there is not enough memory to read them.",
                    e
                );
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new FileNotFoundException(
                IsWebAddress(path)
                    ? $"Image '{ShownText.Escape(path)}' is a web address. Download it and give the path of the file, or give the bytes."
                    : $"Image '{ShownText.Escape(path)}' does not exist.{BackslashHint(path)}",
                path,
                e
            );
        }
    }

    private static string BackslashHint(string path) =>
        Path.DirectorySeparatorChar != '\\' && path.Contains('\\', StringComparison.Ordinal)
            ? " The path has backslashes, which separate folders only on Windows: use slashes."
            : "";

    private static bool IsWebAddress(string path) =>
        Uri.TryCreate(path, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" or "ftp" or "data";
}

/// <summary>Recognises image formats by their first bytes, so that only supported formats reach a decoder.</summary>
internal static class ImageSignature
{
    /// <summary>The supported formats, for error messages.</summary>
    public const string Readable = "PNG, JPEG, GIF, BMP or WebP";

    /// <summary>Whether the bytes begin with the signature of a PNG, JPEG, GIF, BMP or WebP file.</summary>
    public static bool IsReadable(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A])
        || bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
        || bytes.StartsWith("GIF87a"u8)
        || bytes.StartsWith("GIF89a"u8)
        || bytes.StartsWith("BM"u8)
        || (bytes.StartsWith("RIFF"u8) && bytes.Length >= 12 && bytes[8..12].SequenceEqual("WEBP"u8));

    /// <summary>The name of an unsupported format that is common among images; null for others.</summary>
    public static string? NameOfOther(ReadOnlySpan<byte> bytes)
    {
        if (
            bytes.StartsWith((ReadOnlySpan<byte>)[(byte)'I', (byte)'I', 42, 0])
            || bytes.StartsWith((ReadOnlySpan<byte>)[(byte)'M', (byte)'M', 0, 42])
        )
            return "a TIFF or raw camera file";
        if (bytes.Length >= 12 && bytes[4..8].SequenceEqual("ftyp"u8))
            return bytes[8..12].SequenceEqual("avif"u8) ? "an AVIF file" : "a HEIC or video file";
        if (bytes.StartsWith("%PDF"u8))
            return "a PDF file";
        if (bytes.StartsWith("8BPS"u8))
            return "a Photoshop file";
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 1, 0]))
            return "an icon";
        if (bytes.StartsWith("<svg"u8) || bytes.StartsWith("<?xml"u8))
            return "an SVG or XML file";
        return bytes.StartsWith("<!DOCTYPE"u8) || bytes.StartsWith("<html"u8) ? "a web page" : null;
    }
}
