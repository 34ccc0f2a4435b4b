using System.Buffers.Binary;
using System.IO.Compression;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Images;

/// <summary>Creates image files byte by byte, in formats that no available encoder writes.</summary>
internal static class ImageBytes
{
    public const byte Grey = 0,
        Colour = 2,
        Palette = 3,
        GreyAlpha = 4,
        ColourAlpha = 6;

    private const int PngSignature = 8;

    /// <summary>A PNG file of unfiltered rows; if it has a palette, its colours are (10, 20, 30) and (40, 50, 60).</summary>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="depth">Bits per sample.</param>
    /// <param name="type">The colour type.</param>
    /// <param name="pixels">The samples, row by row.</param>
    /// <param name="transparency">Content of the chunk tRNS; empty: there is none.</param>
    public static byte[] Png(int width, int height, byte depth, byte type, byte[] pixels, params byte[] transparency)
    {
        using var compressed = new MemoryStream();
        using (var deflate = new ZLibStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            int stride = Math.Max(1, pixels.Length / height);
            for (int row = 0; row * stride < pixels.Length; row++)
                deflate.Write([0, .. pixels[(row * stride)..((row + 1) * stride)]]);
        }
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (depth, type);
        return
        [
            0x89,
            .. "PNG\r\n"u8,
            0x1A,
            0x0A,
            .. Chunk("IHDR"u8, header),
            .. type == Palette ? Chunk("PLTE"u8, [10, 20, 30, 40, 50, 60]) : [],
            .. transparency.Length > 0 ? Chunk("tRNS"u8, transparency) : [],
            .. Chunk("IDAT"u8, compressed.ToArray()),
            .. Chunk("IEND"u8, []),
        ];
    }

    /// <summary>Corrects the checksums of a damaged PNG file, so that the damage reaches the code behind the checksum test.</summary>
    public static byte[] WithChecksums(byte[] png)
    {
        for (int at = PngSignature; at + 12 <= png.Length; )
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            if (length < 0 || length > png.Length - at - 12)
                break;
            BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(at + 8 + length), Checksum(png.AsSpan(at + 4, length + 4)));
            at += length + 12;
        }
        return png;
    }

    /// <summary>A baseline JPEG file of 8 × 8 pixels of the same colour.</summary>
    /// <param name="samples">One value for each component: one (grey), three (YCbCr) or four (CMYK, where 255 is no ink).</param>
    public static byte[] FlatJpeg(params byte[] samples)
    {
        byte count = (byte)samples.Length;
        var bits = new List<bool>();
        void Write(int value, int length)
        {
            for (int bit = length - 1; bit >= 0; bit--)
                bits.Add(((value >> bit) & 1) == 1);
        }
        foreach (byte sample in samples)
        {
            // The mean of a block is an eighth of its first coefficient; all others are 0, encoded by a single bit.
            int mean = 8 * (sample - 128),
                category = 32 - int.LeadingZeroCount(Math.Abs(mean));
            Write(category, 4);
            Write(mean < 0 ? mean - 1 : mean, category);
            Write(0, 1);
        }
        while (bits.Count % 8 != 0)
            bits.Add(true);
        // A byte of 255 must be followed by 0, or it would start a marker.
        byte[] data =
        [
            .. bits.Chunk(8)
                .Select(chunk => (byte)chunk.Aggregate(0, (value, bit) => value << 1 | (bit ? 1 : 0)))
                .SelectMany(b => b == byte.MaxValue ? (byte[])[b, 0] : [b]),
        ];
        byte[] components = [.. Enumerable.Range(1, count).SelectMany(id => (byte[])[(byte)id, 0x11, 0])],
            scan = [.. Enumerable.Range(1, count).SelectMany(id => (byte[])[(byte)id, 0])];
        return
        [
            0xFF,
            0xD8,
            .. count == 4 ? (byte[])[0xFF, 0xEE, 0, 14, .. "Adobe"u8, 0, 100, 0, 0, 0, 0, 0] : [],
            0xFF,
            0xDB,
            0,
            67,
            0,
            .. Enumerable.Repeat((byte)1, 64),
            0xFF,
            0xC0,
            0,
            (byte)(8 + 3 * count),
            8,
            0,
            8,
            0,
            8,
            count,
            .. components,
            0xFF,
            0xC4,
            0,
            31,
            0x00,
            0,
            0,
            0,
            12,
            .. new byte[12],
            .. Enumerable.Range(0, 12).Select(category => (byte)category),
            0xFF,
            0xC4,
            0,
            20,
            0x10,
            1,
            .. new byte[15],
            0,
            0xFF,
            0xDA,
            0,
            (byte)(6 + 2 * count),
            count,
            .. scan,
            0,
            63,
            0,
            .. data,
            0xFF,
            0xD9,
        ];
    }

    /// <summary>The JPEG file with an EXIF orientation inserted.</summary>
    public static byte[] Oriented(byte[] jpeg, byte orientation)
    {
        // APP1 with one entry: orientation (0x0112), short.
        byte[] exif =
        [
            0xFF,
            0xE1,
            0,
            34,
            .. "Exif\0\0MM\0*"u8,
            0,
            0,
            0,
            8,
            0,
            1,
            0x01,
            0x12,
            0,
            3,
            0,
            0,
            0,
            1,
            0,
            orientation,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        return [.. jpeg[..2], .. exif, .. jpeg[2..]];
    }

    /// <summary>A GIF file of one pixel and two frames: (10, 20, 30), then (40, 50, 60).</summary>
    public static byte[] AnimatedGif() =>
        [
            .. "GIF89a"u8,
            1,
            0,
            1,
            0,
            0x80,
            0,
            0,
            10,
            20,
            30,
            40,
            50,
            60,
            0x21,
            0xF9,
            4,
            0,
            10,
            0,
            0,
            0,
            0x2C,
            0,
            0,
            0,
            0,
            1,
            0,
            1,
            0,
            0,
            2,
            2,
            0x44,
            1,
            0,
            0x21,
            0xF9,
            4,
            0,
            10,
            0,
            0,
            0,
            0x2C,
            0,
            0,
            0,
            0,
            1,
            0,
            1,
            0,
            0,
            2,
            2,
            0x4C,
            1,
            0,
            0x3B,
        ];

    /// <summary>An animated lossless WebP file of single-coloured frames.</summary>
    public static byte[] AnimatedWebp(int width, int height, params SKColor[] frames)
    {
        byte[] size = [.. Three(width - 1), .. Three(height - 1)];
        byte[] chunks =
        [
            .. Riff("VP8X"u8, [0x02, 0, 0, 0, .. size]),
            .. Riff("ANIM"u8, [0, 0, 0, 0, 0, 0]),
            .. frames.SelectMany(colour =>
                Riff(
                    "ANMF"u8,
                    [
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        .. size,
                        100,
                        0,
                        0,
                        0,
                        .. LosslessChunk(Encoded(Filled(width, height, colour), SKEncodedImageFormat.Webp)),
                    ]
                )
            ),
        ];
        return Riff("RIFF"u8, [.. "WEBP"u8, .. chunks]);
    }

    /// <summary>Encodes a bitmap with Skia; WebP losslessly.</summary>
    public static byte[] Encoded(SKBitmap bitmap, SKEncodedImageFormat format)
    {
        using (bitmap)
        using (SKPixmap pixels = bitmap.PeekPixels())
        using (
            SKData data =
                format == SKEncodedImageFormat.Webp
                    ? pixels.Encode(new SKWebpEncoderOptions(SKWebpEncoderCompression.Lossless, 50))
                    : pixels.Encode(format, 95)
        )
            return data.ToArray();
    }

    public static SKBitmap Filled(int width, int height, SKColor colour)
    {
        var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(colour);
        return bitmap;
    }

    private static byte[] LosslessChunk(byte[] webp)
    {
        for (int at = 12; at + 8 <= webp.Length; )
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(webp.AsSpan(at + 4)),
                padded = length + length % 2;
            if (webp.AsSpan(at, 4).SequenceEqual("VP8L"u8))
                return webp[at..(at + 8 + padded)];
            at += 8 + padded;
        }
        throw new InvalidOperationException("Skia wrote no lossless WebP.");
    }

    private static byte[] Riff(ReadOnlySpan<byte> name, byte[] data)
    {
        byte[] chunk = [.. name, 0, 0, 0, 0, .. data, .. new byte[data.Length % 2]];
        BinaryPrimitives.WriteInt32LittleEndian(chunk.AsSpan(4), data.Length);
        return chunk;
    }

    private static byte[] Three(int number) => [(byte)number, (byte)(number >> 8), (byte)(number >> 16)];

    private static byte[] Chunk(ReadOnlySpan<byte> name, byte[] data)
    {
        byte[] chunk = [0, 0, 0, 0, .. name, .. data, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(chunk.Length - 4), Checksum(chunk.AsSpan(4, data.Length + 4)));
        return chunk;
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ (0xEDB88320 & (0 - (crc & 1)));
        }
        return ~crc;
    }
}
