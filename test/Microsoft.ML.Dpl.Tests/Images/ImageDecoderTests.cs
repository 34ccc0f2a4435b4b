using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using SkiaSharp;
using static Microsoft.ML.Dpl.Tests.Images.ImageBytes;

namespace Microsoft.ML.Dpl.Tests.Images;

public sealed class ImageDecoderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-images-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(8, Grey, new byte[] { 7, 200 }, new byte[] { 7, 7, 7, 200, 200, 200 })]
    [InlineData(16, Grey, new byte[] { 7, 1, 200, 99 }, new byte[] { 7, 7, 7, 200, 200, 200 })]
    [InlineData(8, Colour, new byte[] { 1, 2, 3, 4, 5, 6 }, new byte[] { 1, 2, 3, 4, 5, 6 })]
    [InlineData(16, Colour, new byte[] { 1, 0, 2, 9, 3, 0, 4, 0, 5, 1, 6, 2 }, new byte[] { 1, 2, 3, 4, 5, 6 })]
    [InlineData(8, Palette, new byte[] { 1, 0 }, new byte[] { 40, 50, 60, 10, 20, 30 })]
    [InlineData(1, Palette, new byte[] { 0b0100_0000 }, new byte[] { 10, 20, 30, 40, 50, 60 })]
    [InlineData(1, Grey, new byte[] { 0b0100_0000 }, new byte[] { 0, 0, 0, 255, 255, 255 })]
    public void DecodesEveryKindOfPng(byte depth, byte type, byte[] row, byte[] expected)
    {
        RgbImage image = ImageDecoder.FromBytes(Png(2, 1, depth, type, row), "a");
        Assert.Equal((2, 1), (image.Width, image.Height));
        Assert.Equal(expected, image.Pixels);
        Assert.Null(image.Alpha);
    }

    [Theory]
    [InlineData(ColourAlpha, new byte[] { 200, 100, 50, 0, 9, 8, 7, 128 }, new byte[] { 200, 100, 50, 9, 8, 7 })]
    [InlineData(GreyAlpha, new byte[] { 200, 0, 9, 128 }, new byte[] { 200, 200, 200, 9, 9, 9 })]
    public void KeepsColoursUnderTransparency(byte type, byte[] row, byte[] expected)
    {
        RgbImage image = ImageDecoder.FromBytes(Png(2, 1, 8, type, row), "a");
        Assert.Equal(expected, image.Pixels);
        Assert.Equal([0, 128], image.Alpha!);
    }

    /// <summary>PIL reads these as P, L and RGB: neither resizing nor conversion to RGB heeds what is marked as transparent.</summary>
    [Theory]
    [InlineData(Palette, new byte[] { 0, 1 }, new byte[] { 0 }, new byte[] { 10, 20, 30, 40, 50, 60 })]
    [InlineData(Grey, new byte[] { 200, 9 }, new byte[] { 0, 200 }, new byte[] { 200, 200, 200, 9, 9, 9 })]
    [InlineData(Colour, new byte[] { 200, 100, 50, 9, 8, 7 }, new byte[] { 0, 200, 0, 100, 0, 50 }, new byte[] { 200, 100, 50, 9, 8, 7 })]
    public void KeepsColoursThatAreOnlyMarkedAsTransparent(byte type, byte[] row, byte[] transparency, byte[] expected)
    {
        RgbImage image = ImageDecoder.FromBytes(Png(2, 1, 8, type, row, transparency), "a");
        Assert.Equal(expected, image.Pixels);
        Assert.Null(image.Alpha);
    }

    [Fact]
    public void IgnoresExifOrientation()
    {
        using var bitmap = new SKBitmap(16, 8);
        byte[] plain = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90).ToArray();
        // APP1 with one entry: orientation (0x0112), short, 6 (a quarter turn).
        byte[] exif = [0xFF, 0xE1, 0, 34, .. "Exif\0\0MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
        byte[] turned = [.. plain[..2], .. exif, .. plain[2..]];
        using (var codec = SKCodec.Create(new MemoryStream(turned)))
            Assert.Equal(SKEncodedOrigin.RightTop, codec.EncodedOrigin);
        RgbImage image = ImageDecoder.FromBytes(turned, "a");
        Assert.Equal((16, 8), (image.Width, image.Height));
    }

    [Fact]
    public void NamesWhatCannotBeDecoded()
    {
        byte[] png = Png(64, 64, 8, Grey, [.. Enumerable.Range(0, 64 * 64).Select(i => (byte)(i * 7919 >> 3))]);
        string text = Path.Combine(_folder, "text.png"),
            empty = Path.Combine(_folder, "empty.png"),
            cut = Path.Combine(_folder, "cut.png"),
            whole = Path.Combine(_folder, "whole.png");
        File.WriteAllText(text, "no image");
        File.WriteAllBytes(empty, []);
        File.WriteAllBytes(cut, png[..(png.Length / 2)]);
        File.WriteAllBytes(whole, png);
        foreach (string path in (string[])[text, empty, cut])
            Assert.Contains(path, Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile(path)).Message);
        foreach (string path in (string[])[Path.Combine(_folder, "absent.png"), Path.Combine(_folder, "absent", "a.png")])
            Assert.Contains(path, Assert.Throws<FileNotFoundException>(() => ImageDecoder.FromFile(path)).Message);
        Assert.Contains("64 × 64", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromFile(whole, maximumPixels: 4095)).Message);
        Assert.Equal(64, ImageDecoder.FromFile(whole, maximumPixels: 4096).Width);
    }

    [Fact]
    public void RefusesAHugeImageBeforeDecodingIt()
    {
        byte[] header = Png(60_000, 60_000, 8, Colour, [0]);
        Assert.Contains("60000 × 60000", Assert.Throws<InvalidDataException>(() => ImageDecoder.FromBytes(header, "a")).Message);
    }

    [Theory]
    [InlineData("photo-2.jpg")]
    [InlineData("palette.png")]
    public void DamagedFilesAreDecodedOrRefused(string name)
    {
        byte[] whole = File.ReadAllBytes(GoldenFolder.At($"preprocess/{name}"));
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 200; i++)
        {
            byte[] damaged = whole[..random.Next(1, whole.Length + 1)];
            for (int k = 0; k < 5; k++)
                damaged[random.Next(Math.Min(damaged.Length, i % 2 == 0 ? 700 : int.MaxValue))] = (byte)random.Next(256);
            try
            {
                ImageDecoder.FromBytes(damaged, "damaged");
            }
            catch (InvalidDataException e)
            {
                Assert.Contains("'damaged'", e.Message);
                refused++;
            }
        }
        Assert.True(refused > 100);
    }

    [Fact]
    public void LeavesFilesUnlocked()
    {
        string path = Path.Combine(_folder, "a.png");
        File.WriteAllBytes(path, Png(2, 1, 8, Grey, [1, 2]));
        ImageDecoder.FromFile(path);
        using FileStream exclusive = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.True(exclusive.CanWrite);
    }

    [Theory]
    [InlineData(MLPixelFormat.Bgra32, new byte[] { 3, 2, 1, 255, 6, 5, 4, 255 })]
    [InlineData(MLPixelFormat.Rgba32, new byte[] { 1, 2, 3, 255, 4, 5, 6, 255 })]
    [InlineData(MLPixelFormat.Rgba32, new byte[] { 1, 2, 3, 0, 4, 5, 6, 0 })]
    public void CopiesMLImages(MLPixelFormat format, byte[] pixels)
    {
        using MLImage image = MLImage.CreateFromPixels(2, 1, format, pixels);
        RgbImage copy = ImageDecoder.FromMLImage(image);
        Assert.Equal([1, 2, 3, 4, 5, 6], copy.Pixels);
        Assert.Null(copy.Alpha);
        Assert.Equal(2, image.Width); // the image has not been disposed
    }

    [Fact]
    public void KeepsStraightAlphaOfMLImages()
    {
        using MLImage image = MLImage.CreateFromPixels(2, 1, MLPixelFormat.Rgba32, [200, 100, 50, 128, 1, 1, 1, 255]);
        RgbImage copy = ImageDecoder.FromMLImage(image);
        Assert.Equal([200, 100, 50, 1, 1, 1], copy.Pixels);
        Assert.Equal([128, 255], copy.Alpha!);
    }

    [Theory]
    [InlineData("alpha.png")]
    [InlineData("palette.png")]
    [InlineData("grey.jpg")]
    public void PreparesMLImagesAsFiles(string name)
    {
        string path = GoldenFolder.At($"preprocess/{name}");
        using MLImage image = MLImage.CreateFromFile(path);
        byte[] expected = ClipImageProcessor.Default(64).Prepare(ImageDecoder.FromFile(path)),
            actual = ClipImageProcessor.Default(64).Prepare(ImageDecoder.FromMLImage(image));
        Assert.True(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Average() < 0.5);
    }
}
