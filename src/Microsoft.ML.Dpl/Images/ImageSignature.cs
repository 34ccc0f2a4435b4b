namespace Microsoft.ML.Dpl.Images;

/// <summary>Tells image formats by their first bytes: only those that are meant to be read reach a decoder.</summary>
internal static class ImageSignature
{
    /// <summary>What is read, for messages.</summary>
    public const string Readable = "PNG, JPEG, GIF, BMP or WebP";

    /// <summary>Whether the bytes begin as a PNG, JPEG, GIF, BMP or WebP file does.</summary>
    public static bool IsReadable(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A])
        || bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
        || bytes.StartsWith("GIF87a"u8)
        || bytes.StartsWith("GIF89a"u8)
        || bytes.StartsWith("BM"u8)
        || (bytes.StartsWith("RIFF"u8) && bytes.Length >= 12 && bytes[8..12].SequenceEqual("WEBP"u8));

    /// <summary>The name of a format that is not read but may be met among images; null for others.</summary>
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
