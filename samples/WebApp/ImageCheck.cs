using SkiaSharp;

namespace WebApp;

/// <summary>Checks of an uploaded file that need no decoding of pixels.</summary>
internal static class ImageCheck
{
    private static readonly byte[] Png = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A],
        Jpeg = [0xFF, 0xD8, 0xFF];

    /// <summary>Whether the first bytes are those of a format that the model reads; the file name and content type that a client sends
    /// cannot be trusted.</summary>
    public static bool HasImageSignature(ReadOnlySpan<byte> file) =>
        file.StartsWith(Png)
        || file.StartsWith(Jpeg)
        || file.StartsWith("GIF87a"u8)
        || file.StartsWith("GIF89a"u8)
        || file.StartsWith("BM"u8)
        || (file.Length >= 12 && file.StartsWith("RIFF"u8) && file[8..].StartsWith("WEBP"u8));

    /// <summary>Width and height in pixels according to the header; null if there is no readable header.</summary>
    public static (int Width, int Height)? Size(byte[] file)
    {
        using SKData data = SKData.CreateCopy(file);
        using SKCodec? codec = SKCodec.Create(data);
        return codec is null ? null : (codec.Info.Width, codec.Info.Height);
    }
}
