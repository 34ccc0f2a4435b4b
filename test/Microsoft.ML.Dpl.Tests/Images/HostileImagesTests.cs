using Microsoft.ML.Dpl.Images;
using SkiaSharp;
using static Microsoft.ML.Dpl.Tests.Images.ImageBytes;

namespace Microsoft.ML.Dpl.Tests.Images;

/// <summary>Unusual and hostile image files and paths, each with its expected outcome.</summary>
public sealed class HostileImagesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void CMYK_is_converted_without_a_profile()
    {
        // Cyan, magenta, yellow, key (black) as Adobe stores them: 255 is no ink.
        Close([255, 0, 0], ImageDecoder.FromBytes(FlatJpeg(255, 0, 0, 255), "a"));
        Close([0, 0, 0], ImageDecoder.FromBytes(FlatJpeg(255, 255, 255, 0), "a"));
        Close([255, 255, 255], ImageDecoder.FromBytes(FlatJpeg(255, 255, 255, 255), "a"));
    }

    [Fact]
    public void Grey_and_colour_JPEG_are_decoded()
    {
        Close([70, 70, 70], ImageDecoder.FromBytes(FlatJpeg(70), "a"));
        Close([70, 70, 70], ImageDecoder.FromBytes(FlatJpeg(70, 128, 128), "a"));
    }

    [Fact]
    public void Of_animations_the_first_frame_is_taken()
    {
        Assert.Equal([10, 20, 30], ImageDecoder.FromBytes(AnimatedGif(), "a").Pixels);
        RgbImage webp = ImageDecoder.FromBytes(AnimatedWebp(3, 2, new SKColor(200, 10, 20), new SKColor(1, 2, 3)), "a");
        Assert.Equal((3, 2), (webp.Width, webp.Height));
        Assert.Equal([200, 10, 20], webp.Pixels[..3]);
    }

    [SkippableTheory]
    [InlineData("a.png")]
    [InlineData("a.txt")]
    [InlineData("a\nb.jpg")]
    public void The_content_counts_not_the_name(string name)
    {
        Skip.If(OperatingSystem.IsWindows() && name.Contains('\n'), "no such names there");
        string path = _folder.File(name);
        File.WriteAllBytes(path, FlatJpeg(70));
        Assert.Equal(8, ImageDecoder.FromFile(path).Width);
    }

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(2, 1, 0)]
    [InlineData(3, 1, 1)]
    [InlineData(4, 0, 1)]
    [InlineData(5, 0, 0)]
    [InlineData(6, 1, 0)]
    [InlineData(7, 1, 1)]
    [InlineData(8, 0, 1)]
    public void The_orientation_is_applied_where_asked_for(byte orientation, int right, int bottom)
    {
        // The stored image is 32 × 16 with a red upper left quarter; the EXIF specification determines the corner that it is moved to.
        using var bitmap = new SKBitmap(new SKImageInfo(32, 16, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(SKColors.Blue);
        using (var canvas = new SKCanvas(bitmap))
        using (var red = new SKPaint { Color = SKColors.Red })
            canvas.DrawRect(0, 0, 16, 8, red);
        using SKData jpeg = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        byte[] file = Oriented(jpeg.ToArray(), orientation);

        RgbImage stored = ImageDecoder.FromBytes(file, "a"),
            upright = ImageDecoder.FromBytes(file, "a", applyExifOrientation: true);
        Assert.Equal((32, 16), (stored.Width, stored.Height));
        Assert.Equal(orientation < 5 ? (32, 16) : (16, 32), (upright.Width, upright.Height));
        Assert.True(IsRed(stored, 0, 0));
        for (int x = 0; x < 2; x++)
        for (int y = 0; y < 2; y++)
            Assert.Equal((x, y) == (right, bottom), IsRed(upright, x, y));
    }

    [Fact]
    public void Alpha_turns_with_the_image()
    {
        // Pixels [1, 2] in one row, the left one half transparent; after a quarter turn to the right it is on top.
        var image = new RgbImage(2, 1, [1, 1, 1, 2, 2, 2], [128, 255]);
        RgbImage turned = image.Upright(SKEncodedOrigin.RightTop);
        Assert.Equal((1, 2), (turned.Width, turned.Height));
        Assert.Equal([1, 1, 1, 2, 2, 2], turned.Pixels);
        Assert.Equal([128, 255], turned.Alpha!);
    }

    [Theory]
    [InlineData("PNG")]
    [InlineData("GIF")]
    [InlineData("BMP")]
    public void A_decompression_bomb_is_refused_before_memory_is_taken_for_it(string kind)
    {
        byte[] bomb = kind switch
        {
            "PNG" => Png(30_000, 30_000, 8, Colour, [0]),
            "GIF" =>
            [
                .. "GIF89a"u8,
                0xFF,
                0xFF,
                0xFF,
                0xFF,
                0x80,
                0,
                0,
                10,
                20,
                30,
                40,
                50,
                60,
                0x2C,
                0,
                0,
                0,
                0,
                0xFF,
                0xFF,
                0xFF,
                0xFF,
                0,
                2,
                2,
                0x44,
                1,
                0,
                0x3B,
            ],
            _ =>
            [
                .. "BM"u8,
                58,
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
                0x30,
                0x75,
                0,
                0,
                0x30,
                0x75,
                0,
                0,
                1,
                0,
                24,
                0,
                .. new byte[24],
                1,
                2,
                3,
                0,
            ],
        };
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("Images.MaxPixels", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromBytes(bomb, "a")).Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void The_bound_is_PILs_and_can_be_set()
    {
        Assert.Equal(178_956_970, ImageDecoder.DefaultMaximumPixels);
        Assert.Throws<InvalidDataException>(() => ImageDecoder.FromBytes(FlatJpeg(70), "a", maximumPixels: 63));
        Assert.Equal(8, ImageDecoder.FromBytes(FlatJpeg(70), "a", maximumPixels: 64).Height);
    }

    [Theory]
    [InlineData("II*\0", "TIFF")]
    [InlineData("\0\0\0\u0018ftypheic", "HEIC")]
    [InlineData("\0\0\0\u0018ftypavif", "AVIF")]
    [InlineData("%PDF-1.7", "PDF")]
    [InlineData("<!DOCTYPE html>", "web page")]
    [InlineData("<svg>", "SVG")]
    [InlineData("\0\0\u0002\u0002", "no image")] // Skia takes almost any such bytes for a WBMP image
    public void Other_formats_are_named(string beginning, string named)
    {
        byte[] bytes = [.. System.Text.Encoding.Latin1.GetBytes(beginning), .. new byte[64]];
        string message = Assert.Throws<InvalidDataException>(() => ImageDecoder.FromBytes(bytes, "a.jpg")).Message;
        Assert.Contains("'a.jpg'", message);
        Assert.Contains(named, message);
    }

    [Fact]
    public void Truncated_and_empty_files_are_named()
    {
        byte[] whole = Png(64, 64, 8, Grey, [.. Enumerable.Range(0, 64 * 64).Select(i => (byte)(i * 7919 >> 3))]);
        string empty = _folder.File("empty.png");
        File.WriteAllBytes(empty, []);
        Assert.Contains("cut short", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromBytes(whole[..^200], "a")).Message);
        Assert.Contains("empty", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile(empty)).Message);
    }

    [Fact]
    public void A_folder_a_web_address_and_a_path_with_a_zero_are_named()
    {
        Assert.Contains("is a folder", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile(_folder.FullPath)).Message);
        Assert.Contains(
            "is a web address",
            Assert.Throws<FileNotFoundException>(() => ImageDecoder.FromFile("https://example.org/a.jpg")).Message
        );
        Assert.Contains("is not a path", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile("a\0.jpg")).Message);
    }

    [Fact]
    public void A_path_cannot_forge_a_line_of_a_log()
    {
        string message = Assert.Throws<FileNotFoundException>(() => ImageDecoder.FromFile(_folder.File("a\nFit: all is well"))).Message;
        Assert.DoesNotContain('\n', message);
        Assert.Contains("a\\nFit: all is well", message);
    }

    [SkippableTheory]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    [InlineData("/dev/urandom")]
    public void Devices_are_not_read(string path)
    {
        Skip.IfNot(File.Exists(path), "there is no such device");
        string link = _folder.File("link.png");
        File.CreateSymbolicLink(link, path);
        foreach (string named in (string[])[path, link])
            Assert.Contains("not a regular file", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile(named)).Message);
    }

    private static void Close(byte[] expected, RgbImage image)
    {
        for (int i = 0; i < image.Pixels.Length; i++)
            Assert.InRange((int)image.Pixels[i], expected[i % 3] - 2, expected[i % 3] + 2);
    }

    /// <summary>Whether the centre of a quarter of the image is red.</summary>
    private static bool IsRed(RgbImage image, int right, int bottom)
    {
        int at = 3 * ((image.Height / 4 + bottom * image.Height / 2) * image.Width + image.Width / 4 + right * image.Width / 2);
        return image.Pixels[at] > 200 && image.Pixels[at + 2] < 60;
    }
}
