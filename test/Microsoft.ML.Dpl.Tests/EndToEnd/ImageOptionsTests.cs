using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using SkiaSharp;
using static Microsoft.ML.Dpl.Tests.Images.ImageBytes;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>ApplyExifOrientation and MaxImagePixels apply in training, prediction and explanation, and are stored in the zip.</summary>
public sealed class ImageOptionsTests : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>, IDisposable
{
    private readonly SmallBackbone _small;
    private readonly ColourImages _images;
    private readonly MLContext _mlContext;
    private readonly TemporaryFolder _folder = new();
    private readonly string _turned,
        _upright;

    public ImageOptionsTests(SmallBackbone small, ColourImages images)
    {
        (_small, _images) = (small, images);
        _mlContext = new MLContext(1).Knowing(small.Backbone);
        // Stored in landscape format, 96 × 64, with an EXIF orientation that asks for a turn to the right.
        using var bitmap = new SKBitmap(new SKImageInfo(96, 64, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(SKColors.Green);
        using (var canvas = new SKCanvas(bitmap))
        using (var red = new SKPaint { Color = SKColors.Red })
            canvas.DrawRect(0, 0, 40, 64, red);
        using SKData jpeg = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        _turned = _folder.File("turned.jpg");
        _upright = _folder.File("upright.png");
        File.WriteAllBytes(_turned, Oriented(jpeg.ToArray(), 6));
        using SKBitmap stored = SKBitmap.Decode(jpeg.ToArray());
        using var standing = new SKBitmap(new SKImageInfo(64, 96, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (int y = 0; y < 96; y++)
        {
            for (int x = 0; x < 64; x++)
                standing.SetPixel(x, y, stored.GetPixel(y, 63 - x));
        }
        using SKData png = standing.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(_upright, png.ToArray());
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_orientation_counts_in_predictions_and_explanations_and_is_kept()
    {
        using DplTransformer plain = Fit(_ => { }),
            applying = Fit(o => o.Images.ApplyExifOrientation = true);
        Assert.False(plain.ApplyExifOrientation);
        Assert.NotEqual(Scores(plain, _turned), Scores(plain, _upright));
        Assert.NotEqual(plain.Pixels(_turned), plain.Pixels(_upright));
        string zip = Save(applying);
        using var loaded = (DplTransformer)_mlContext.Model.Load(zip, out _);
        foreach (DplTransformer transformer in (DplTransformer[])[applying, loaded])
        {
            Assert.True(transformer.ApplyExifOrientation);
            Assert.Equal(Scores(transformer, _upright), Scores(transformer, _turned));
            Assert.Equal(Scores(transformer, _upright), ScoresOfBytes(transformer, _turned));
            Assert.Equal(transformer.Explain(_upright).Relevance, transformer.Explain(_turned).Relevance);
            Assert.Equal(transformer.Pixels(_upright), transformer.Pixels(_turned));
            Assert.Equal(Scores(transformer, _turned).Max(), transformer.Explain(_turned).Probability, 1e-5f);
            using MLImage image = transformer.ReadImage(_turned);
            Assert.Equal((64, 96), (image.Width, image.Height));
            Assert.Equal(transformer.Explain(_turned).Relevance, transformer.Explain(image).Relevance);
            Assert.Equal(transformer.Pixels(_turned), transformer.Pixels(image));
            using MLImage drawn = transformer.Explain(_turned).Draw(image);
            Assert.Equal((64, 96, _turned), (drawn.Width, drawn.Height, drawn.Tag));
        }
        using MLImage lying = plain.ReadImage(_turned);
        Assert.Equal((96, 64), (lying.Width, lying.Height));
    }

    [Fact]
    public void A_model_made_of_exported_prompts_reads_images_alike()
    {
        using DplTransformer applying = Fit(o => (o.Images.ApplyExifOrientation, o.Images.MaxPixels) = (true, 96 * 64)),
            rebuilt = _mlContext.DifferentiablePromptModel(applying.ExportPrompts(), _small.Backbone, "ImagePath"),
            smaller = _mlContext.DifferentiablePromptModel(
                applying.ExportPrompts() with
                {
                    MaxImagePixels = 96 * 64 - 1,
                },
                _small.Backbone,
                "ImagePath"
            );
        Assert.Equal(applying.Pixels(_turned), rebuilt.Pixels(_turned));
        Assert.Equal(Scores(applying, _turned), Scores(rebuilt, _turned));
        Assert.Contains("Images.MaxPixels", Assert.Throws<InvalidDataException>(() => smaller.Pixels(_turned)).Message);
    }

    [Fact]
    public void Older_readers_are_kept_out_only_where_they_would_predict_otherwise()
    {
        using DplTransformer plain = Fit(_ => { }),
            applying = Fit(o => o.Images.ApplyExifOrientation = true);
        Assert.Equal((2, 1), ZipBytes.FormatVersions(File.ReadAllBytes(Save(plain))));
        string zip = Save(applying);
        Assert.Equal((3, 3), ZipBytes.FormatVersions(File.ReadAllBytes(zip)));
        Assert.True(ModelInfo.Read(zip).ApplyExifOrientation);
    }

    [Fact]
    public void The_orientation_counts_in_training()
    {
        LabelledImage[] rows =
        [
            .. _images.Train,
            .. Enumerable.Range(0, 4).Select(_ => new LabelledImage { ImagePath = _turned, Label = "red" }),
        ];
        using DplTransformer plain = Fit(o => o.Training.Augment = false, rows),
            applying = Fit(o => (o.Training.Augment, o.Images.ApplyExifOrientation) = (false, true), rows);
        Assert.NotEqual(Scores(plain, _upright), Scores(applying, _upright));
    }

    [Fact]
    public void Too_large_an_image_is_refused_in_training_by_row_and_option()
    {
        LabelledImage[] rows = [.. _images.Train, new LabelledImage { ImagePath = _turned, Label = "red" }];
        string message = Assert.ThrowsAny<InvalidOperationException>(() => Fit(o => o.Images.MaxPixels = 96 * 64 - 1, rows)).Message;
        Assert.Contains($"Row {_images.Train.Count}", message);
        Assert.Contains(_turned, message);
        Assert.Contains("Images.MaxPixels", message);
        using DplTransformer skipping = Fit(o => (o.Images.MaxPixels, o.Images.SkipUnreadable) = (96 * 64 - 1, true), rows);
        Assert.Equal(96 * 64 - 1, skipping.MaxImagePixels);
    }

    [Fact]
    public void Too_large_an_image_is_refused_in_prediction_also_after_loading()
    {
        string zip;
        using (DplTransformer transformer = Fit(o => o.Images.MaxPixels = 96 * 64 - 1))
            zip = Save(transformer);
        using var loaded = (DplTransformer)_mlContext.Model.Load(zip, out _);
        Assert.Equal(96 * 64 - 1, loaded.MaxImagePixels);
        foreach (
            Action use in (Action[])
                [
                    () => Scores(loaded, _turned),
                    () => ScoresOfBytes(loaded, _turned),
                    () => loaded.Explain(_turned),
                    () => loaded.ReadImage(_turned).Dispose(),
                    () => loaded.Pixels(_turned),
                ]
        )
            Assert.Contains("Images.MaxPixels", Assert.ThrowsAny<Exception>(use).Message);
    }

    [Fact]
    public void A_zip_of_version_1_reads_images_as_it_did()
    {
        string saved = Path.Combine(SharedData.RepositoryRoot, "test", "Microsoft.ML.Dpl.Tests", "EndToEnd", "SavedVersion1");
        MLContext mlContext = new MLContext().Knowing(ClipBackboneOf(saved));
        ITransformer model = mlContext.Model.Load(Path.Combine(saved, "model.zip"), out _);
        using DplTransformer transformer = ((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single();
        Assert.False(transformer.ApplyExifOrientation);
        Assert.Equal(178_956_970, transformer.MaxImagePixels);

        static Dpl.Clip.ClipBackbone ClipBackboneOf(string folder) => Dpl.Clip.ClipBackbone.FromFolder(Path.Combine(folder, "clip"));
    }

    private DplTransformer Fit(Action<DplTrainer.Options> change, IReadOnlyList<LabelledImage>? rows = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = _small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(_small.Backbone, 1),
            Training = { Epochs = 1, BatchSize = 9 },
        };
        change(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(rows ?? _images.Train));
    }

    private string Save(DplTransformer transformer)
    {
        string zip = _folder.File("model.zip");
        _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(_images.Test).Schema, zip);
        return zip;
    }

    private float[] Scores(DplTransformer transformer, string path) =>
        transformer
            .Transform(
                _mlContext.Data.LoadFromEnumerable(
                    new[]
                    {
                        new LabelledImage { ImagePath = path, Label = "red" },
                    }
                )
            )
            .GetColumn<float[]>("Score")
            .Single();

    private float[] ScoresOfBytes(DplTransformer transformer, string path) =>
        transformer
            .Transform(_mlContext.Data.LoadFromEnumerable(new[] { new { ImagePath = File.ReadAllBytes(path) } }))
            .GetColumn<float[]>("Score")
            .Single();
}
