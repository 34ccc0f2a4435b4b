using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tests.Images;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>Images in the report are rotated and mirrored where the model did so.</summary>
public sealed class ThumbnailTests : IDisposable
{
    private const int Width = 64,
        Height = 32;

    private static readonly (char Name, SKColor Colour)[] Colours =
    [
        ('R', SKColors.Red),
        ('G', SKColors.Lime),
        ('B', SKColors.Blue),
        ('W', SKColors.White),
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The file's quarters are red, green, blue and white in reading order.</summary>
    [Theory]
    [InlineData(1, "RGBW")]
    [InlineData(2, "GRWB")]
    [InlineData(3, "WBGR")]
    [InlineData(4, "BWRG")]
    [InlineData(5, "RBGW")]
    [InlineData(6, "BRWG")]
    [InlineData(7, "WGBR")]
    [InlineData(8, "GWRB")]
    public void Thumbnails_are_upright_where_the_orientation_is_applied(int orientation, string quarters)
    {
        string file = Write(orientation);
        Assert.Equal((Width, Height, "RGBW"), Seen(Thumbnail.Address(file, 96, applyExif: false)));
        (int width, int height) = orientation < 5 ? (Width, Height) : (Height, Width);
        Assert.Equal((width, height, quarters), Seen(Thumbnail.Address(file, 96, applyExif: true)));
    }

    [Fact]
    public void A_heat_map_is_drawn_on_the_image_that_the_model_reads()
    {
        string file = Write(6);
        foreach (bool applies in new[] { false, true })
        {
            var mlContext = new MLContext();
            using DplTransformer model = mlContext
                .MulticlassClassification.ClipZeroShot(
                    ClipBackbone.TinyDrawn,
                    ["red", "blue"],
                    new ClipZeroShotOptions { ImageColumnName = nameof(ImageRow.ImagePath), ApplyExifOrientation = applies }
                )
                .Fit(mlContext.Data.LoadFromEnumerable(new[] { new ImageRow { ImagePath = file } }));
            (int width, int height, _) = Seen(Thumbnail.HeatMap(file, 96, model, "red"));
            Assert.Equal(applies ? (Height, Width) : (Width, Height), (width, height));
        }
    }

    [Fact]
    public void A_page_without_a_model_goes_by_the_options_of_the_fit()
    {
        string file = Write(6);
        using var fit = new ReportedFit();
        FitResults plain = fit.Bare with
        {
            Data = new DataResults([new SplitSource("training", "images")], [new ClassImages("red", [1], [file])]),
            Test = TestResults.From(["red", "blue"], [new TestPrediction(file, "red", "blue", 0.9, 0.1)]),
        };
        FitResults turned = plain with { Asked = plain.Asked with { Options = [new NamedValue("Images.ApplyExifOrientation", "true")] } };
        // A sample of the training images and a mistake, both smaller than a thumbnail may be.
        Assert.Equal(2, ReportPage.Html(plain).Split(Thumbnail.Address(file, 96, applyExif: false)).Length - 1);
        Assert.Equal(2, ReportPage.Html(turned).Split(Thumbnail.Address(file, 96, applyExif: true)).Length - 1);
    }

    private string Write(int orientation)
    {
        var bitmap = new SKBitmap(new SKImageInfo(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using (var canvas = new SKCanvas(bitmap))
            for (int quarter = 0; quarter < 4; quarter++)
            {
                using var paint = new SKPaint { Color = Colours[quarter].Colour };
                canvas.DrawRect(quarter % 2 * Width / 2, quarter / 2 * Height / 2, Width / 2, Height / 2, paint);
            }
        string file = _folder.File($"{orientation}.jpg");
        File.WriteAllBytes(file, ImageBytes.Oriented(ImageBytes.Encoded(bitmap, SKEncodedImageFormat.Jpeg), (byte)orientation));
        return file;
    }

    /// <summary>Returns the width, the height and the colours in the middle of the quarters of an image in a <c>data:</c> URL.</summary>
    private static (int Width, int Height, string Quarters) Seen(string? address)
    {
        using SKBitmap image = SKBitmap.Decode(Convert.FromBase64String(address!.Split(',')[1]));
        char Nearest(SKColor seen) =>
            Colours
                .MinBy(known =>
                    Math.Abs(known.Colour.Red - seen.Red)
                    + Math.Abs(known.Colour.Green - seen.Green)
                    + Math.Abs(known.Colour.Blue - seen.Blue)
                )
                .Name;
        char[] quarters =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(i => Nearest(image.GetPixel((1 + 2 * (i % 2)) * image.Width / 4, (1 + 2 * (i / 2)) * image.Height / 4))),
        ];
        return (image.Width, image.Height, new string(quarters));
    }
}
