using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Finding the image column, and reading images from it.</summary>
public sealed class ImageColumnTests(ImageFixture images) : IClassFixture<ImageFixture>
{
    private readonly MLContext _context = new(seed: 1);

    [Fact]
    public void EveryFormGivesTheSamePixels()
    {
        List<byte[]>[] read = [.. Enum.GetValues<ImageForm>().Select(form => Pixels(images.View(_context, form, LabelKind.Key, 9)))];
        Assert.Equal(9, read[0].Count);
        Assert.Equal(read[0], read[1]);
        Assert.Equal(read[0], read[2]);
        Assert.Equal([200, 0, 0], read[0][0][..3]);
        Assert.Equal([0, 201, 0], read[0][1][..3]);
    }

    [Fact]
    public void RelativePathsStartAtTheBaseFolder()
    {
        IDataView view = _context.Data.LoadFromEnumerable(new[] { new { Image = "4.png" } });
        ImageColumn column = ImageColumn.Find(view.Schema, "Image", new ImageReading(images.Folder));
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ImageReader reader = column.CreateReader(cursor);
        Assert.True(cursor.MoveNext());
        Assert.Equal(4, reader.Read().Width);
        Assert.Equal(images.Paths[4], reader.Path);
    }

    [Fact]
    public void AMissingColumnIsRefusedInBothChecks()
    {
        IDataView view = _context.Data.LoadFromEnumerable(new[] { new { Photo = "a.png", Size = 3 } });
        RefusedInBoth(view, "'Image'", "Photo, Size");
    }

    [Fact]
    public void OtherTypesAreRefusedInBothChecks()
    {
        RefusedInBoth(_context.Data.LoadFromEnumerable(new[] { new { Image = 3f } }), "Single", "LoadImages");
        RefusedInBoth(_context.Data.LoadFromEnumerable(new[] { new { Image = new float[] { 1 } } }), "Single", "LoadRawImageBytes");
        RefusedInBoth(_context.Data.LoadFromEnumerable(new[] { new { Image = (byte)3 } }), "Byte", "text");
        RefusedInBoth(_context.Data.LoadFromEnumerable(new[] { new { Image = new[] { "a", "b" } } }), "Vector", "text");
        IDataView text = _context.Data.LoadFromEnumerable(new[] { new { Image = "a" } });
        RefusedInBoth(_context.Transforms.Conversion.MapValueToKey("Image").Fit(text).Transform(text), "Key", "text");
    }

    [Theory]
    [InlineData("", "the path is empty")]
    [InlineData("  ", "the path is empty")]
    [InlineData("nowhere.png", "nowhere.png")]
    public void AnUnreadablePathNamesTheRow(string path, string expected)
    {
        var error = ReadSecond(_context.Data.LoadFromEnumerable(new[] { new { Image = images.Paths[0] }, new { Image = path } }));
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void ADamagedFileNamesTheRowAndTheFile()
    {
        string damaged = Path.Combine(images.Folder, "damaged.png");
        File.WriteAllBytes(damaged, [1, 2, 3, 4]);
        UnreadableImageException error = ReadSecond(
            _context.Data.LoadFromEnumerable(new[] { new { Image = images.Paths[0] }, new { Image = damaged } })
        );
        Assert.Equal(damaged, error.Path);
        Assert.Contains("damaged.png", error.Message);
    }

    [Fact]
    public void EmptyAndDamagedBytesNameTheRow()
    {
        byte[] good = File.ReadAllBytes(images.Paths[0]);
        Assert.Contains(
            "no bytes",
            ReadSecond(_context.Data.LoadFromEnumerable(new[] { new { Image = good }, new { Image = Array.Empty<byte>() } })).Message
        );
        ReadSecond(_context.Data.LoadFromEnumerable(new[] { new { Image = good }, new { Image = new byte[] { 1, 2, 3 } } }));
    }

    [Fact]
    public void ANullImageNamesTheRow()
    {
        using var image = MLImage.CreateFromFile(images.Paths[0]);
        IDataView view = _context.Data.LoadFromEnumerable(
            new[]
            {
                new Holder { Image = image },
                new Holder(),
            }
        );
        Assert.Contains("null", ReadSecond(view).Message);
    }

    private static List<byte[]> Pixels(IDataView view)
    {
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ImageReader reader = ImageColumn.Find(view.Schema, "Image").CreateReader(cursor);
        var pixels = new List<byte[]>();
        while (cursor.MoveNext())
        {
            RgbImage image = reader.Read();
            Assert.Equal((4, 3), (image.Width, image.Height));
            pixels.Add(image.Pixels);
        }
        return pixels;
    }

    private static UnreadableImageException ReadSecond(IDataView view)
    {
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ImageReader reader = ImageColumn.Find(view.Schema, "Image").CreateReader(cursor);
        Assert.True(cursor.MoveNext());
        reader.Read();
        Assert.True(cursor.MoveNext());
        var error = Assert.Throws<UnreadableImageException>(() => reader.Read());
        Assert.Equal(1, error.Row);
        Assert.Contains("Row 1", error.Message);
        Assert.Contains("'Image'", error.Message);
        return error;
    }

    private static void RefusedInBoth(IDataView view, params string[] expected)
    {
        var found = Assert.Throws<ArgumentOutOfRangeException>(() => ImageColumn.Find(view.Schema, "Image"));
        var shape = Assert.Throws<ArgumentOutOfRangeException>(() => ImageColumn.Check(MLNetInternals.ShapeOf(view.Schema), "Image"));
        Assert.All(expected, e => Assert.Contains(e, found.Message));
        Assert.All(expected, e => Assert.Contains(e, shape.Message));
    }

    private sealed class Holder
    {
        [Microsoft.ML.Transforms.Image.ImageType(3, 4)]
        public MLImage? Image { get; set; }
    }
}
