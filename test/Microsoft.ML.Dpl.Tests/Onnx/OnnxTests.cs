using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using Onnx;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>SaveAsOnnx on trained models: ONNX Runtime classifies images as the transformer does.</summary>
public sealed class OnnxTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Configurations => ["text 1 1 | image 2 0 1", "text 0 0 | image 0 0 0", "text 2 0 | image 0 0 3"];

    [Theory]
    [MemberData(nameof(Configurations))]
    public void Labels_and_scores_are_the_transformers(string configuration)
    {
        using DplTransformer trained = Fit(small.Backbone, configuration);
        Compare(trained);
        string zip = _folder.File("model.zip");
        _mlContext.Model.Save(trained, Test.Schema, zip);
        using var loaded = (DplTransformer)_mlContext.Model.Load(zip, out _);
        Compare(loaded);
        Assert.Equal(OnnxModel.Written(trained), OnnxModel.Written(loaded));
        using DplTransformer others = loaded.WithClasses(["pink", "brown", "grey", "white"]);
        Compare(others);
    }

    [Fact]
    public void A_zip_that_carries_its_image_tower_needs_no_CLIP()
    {
        string zip = _folder.File("tower.zip");
        byte[] expected;
        using (var folder = new TemporaryFolder())
        {
            SmallBackbone.Write(folder.FullPath, seed: 12);
            using DplTransformer trained = Fit(ClipBackbone.FromFolder(folder.FullPath), "text 0 1 | image 0 2 1", o =>
                o.ModelContents = ModelContents.WithImageTower
            );
            expected = OnnxModel.Written(trained);
            _mlContext.Model.Save(trained, Test.Schema, zip);
        }
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal(expected, OnnxModel.Written(loaded));
        Compare(loaded);
    }

    [Fact]
    public void A_CLIP_with_gelu_and_odd_sizes_is_written_too()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 9, RandomClip.Shape(imageSize: 26, patch: 8, activation: ClipActivation.Gelu));
        using DplTransformer trained = Fit(ClipBackbone.Open(folder.FullPath), "text 0 1 | image 0 2 1");
        Compare(trained);
    }

    [Fact]
    public void The_tiny_CLIP_says_the_same_in_ONNX()
    {
        using DplTransformer trained = Fit(ClipBackbone.TinyDrawn, PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 2).ToString());
        Compare(trained);
    }

    [Fact]
    public void Many_images_go_through_at_once()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        using var model = new OnnxModel(OnnxModel.Written(trained));
        float[] pixels = [.. images.Test.SelectMany(row => trained.Pixels(row.ImagePath))];
        float[] probabilities = model.Score(pixels, images.Test.Count, 3, 24, 24).Probabilities;
        RequireClose([.. Scores(trained).SelectMany(row => row)], probabilities);
    }

    /// <summary>The resize rounds a few pixels differently (see <see cref="OnnxImageTests"/>), so scores differ slightly.</summary>
    [Fact]
    public void A_model_that_takes_images_prepares_them_as_CLIP_does()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        byte[] written = OnnxModel.Written(trained, OnnxInput.Image);
        // The versions that the oldest runtime supported for this input can read.
        ModelProto parsed = ModelProto.Parser.ParseFrom(written);
        Assert.Equal((8L, 18L), (parsed.IrVersion, Assert.Single(parsed.OpsetImport).Version));
        using var model = new OnnxModel(written);
        Assert.Equal([-1, -1, 3], model.Inputs["image"].Dimensions);
        Assert.Equal([1, 3], model.Outputs["probabilities"].Dimensions);
        foreach (LabelledImage row in images.Test)
            Check(row.ImagePath);

        void Check(string path)
        {
            using SKBitmap decoded = SKBitmap.Decode(path);
            byte[] rgb = [.. decoded.Pixels.SelectMany(pixel => new[] { pixel.Red, pixel.Green, pixel.Blue })];
            RequireClose(Scores(trained, path), model.Score(rgb, decoded.Height, decoded.Width).Probabilities, 1e-3);
        }
    }

    [Fact]
    public void The_metadata_say_all_that_is_needed()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1", o =>
            (o.Template, o.Images.ApplyExifOrientation, o.Images.MaxPixels) = ("ein Bild, {}.", true, 12_345_678)
        );
        using var model = new OnnxModel(OnnxModel.Written(trained));
        Assert.Equal(trained.ClassNames, model.Classes);
        Dictionary<string, string> expected = new()
        {
            ["image_size"] = "24",
            ["resize_short_side"] = "24",
            ["apply_exif_orientation"] = "true",
            ["max_image_pixels"] = "12345678",
            ["template"] = "ein Bild, {}.",
            ["configuration"] = trained.Configuration.ToString(),
            ["backbone"] = small.Backbone.Name,
            ["backbone_sha256"] = small.Backbone.Sha256,
        };
        foreach (var (name, value) in expected)
            Assert.Equal(value, model.Metadata[name]);
        ClipImageProcessorConfig preprocessing = small.Backbone.ReadPreprocessing();
        foreach (var (name, values) in new[] { ("mean", preprocessing.Mean), ("std", preprocessing.Deviation) })
            Assert.Equal(values, JsonSerializer.Deserialize<float[]>(model.Metadata[name]));
        Assert.StartsWith("pixels: ", model.Metadata["input"]);
        Assert.Contains("bicubic", model.Metadata["resize"]);
        Assert.Contains("middle", model.Metadata["crop"]);
        Assert.DoesNotContain("padded", model.Metadata["crop"]);
        Assert.Contains("red, green, blue", model.Metadata["channels"]);
        Assert.Matches(@"^Microsoft\.ML\.Dpl \d+\.\d+\.\d+", model.Metadata["library"]);
        Assert.Equal([-1, 3, 24, 24], model.Inputs["pixels"].Dimensions);
        foreach (string output in new[] { "logits", "probabilities" })
            Assert.Equal([-1, 3], model.Outputs[output].Dimensions);
        Assert.Equal(2, model.Outputs.Count);
    }

    [Theory]
    [InlineData(31, false)]
    [InlineData(20, true)]
    public void The_metadata_tell_the_resize_from_the_crop(int shortSide, bool pads)
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 9);
        File.WriteAllText(folder.File("preprocessor_config.json"), $$"""{"size": {"shortest_edge": {{shortSide}}}, "crop_size": 24}""");
        using DplTransformer trained = Fit(ClipBackbone.Open(folder.FullPath), "text 0 0 | image 0 0 0");
        using var model = new OnnxModel(OnnxModel.Written(trained));
        Assert.Equal(("24", $"{shortSide}"), (model.Metadata["image_size"], model.Metadata["resize_short_side"]));
        Assert.Equal(pads, model.Metadata["crop"].Contains("padded with 0", StringComparison.Ordinal));
        if (pads)
            Assert.Contains(
                "dpl onnx --input pixels",
                Assert.Throws<NotSupportedException>(() => OnnxModel.Written(trained, OnnxInput.Image)).Message
            );
        else
            Assert.NotEmpty(OnnxModel.Written(trained, OnnxInput.Image));
    }

    [Fact]
    public void Pixels_of_a_path_and_of_an_image_are_the_same()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 0 0 | image 0 0 0");
        using MLImage image = MLImage.CreateFromFile(images.Test[0].ImagePath);
        float[] pixels = trained.Pixels(image);
        Assert.Equal(3 * 24 * 24, pixels.Length);
        Assert.Equal(trained.Pixels(images.Test[0].ImagePath), pixels);
        // Converted back to bytes, the planes are the image's red, green and blue, whose averages the noise hardly changes.
        ClipImageProcessorConfig preprocessing = small.Backbone.ReadPreprocessing();
        foreach (var (plane, channel) in pixels.Chunk(24 * 24).Select((plane, channel) => (plane, channel)))
            Assert.Equal(
                channel == 0 ? 220 : 30,
                (plane.Average() * preprocessing.Deviation[channel] + preprocessing.Mean[channel]) * 255,
                5f
            );
    }

    [Fact]
    public void ML_NET_applies_the_model()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        string path = _folder.File("model.onnx");
        trained.SaveAsOnnx(path);
        IDataView rows = _mlContext.Data.LoadFromEnumerable(
            images.Test.Select(row => new PixelRow { Pixels = trained.Pixels(row.ImagePath) })
        );
        using var applied = _mlContext.Transforms.ApplyOnnxModel([OnnxClassifier.Probabilities], [OnnxImageModel.Pixels], path).Fit(rows);
        RequireClose(
            [.. Scores(trained).SelectMany(row => row)],
            [.. applied.Transform(rows).GetColumn<float[]>(OnnxClassifier.Probabilities).SelectMany(row => row)]
        );
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    /// <summary>Compares label and scores image by image, and checks that the scores sum to 1.</summary>
    private void Compare(DplTransformer transformer)
    {
        byte[] written = OnnxModel.Written(transformer);
        Assert.Equal(OnnxImageModel.Opset, ModelProto.Parser.ParseFrom(written).OpsetImport.Single().Version);
        using var model = new OnnxModel(written);
        int size = transformer.Backbone.Config.ImageSize;
        string[] labels = [.. transformer.Transform(Test).GetColumn<string>("PredictedLabel")];
        float[][] scores = Scores(transformer);
        for (int i = 0; i < images.Test.Count; i++)
        {
            float[] probabilities = model.Score(transformer.Pixels(images.Test[i].ImagePath), 1, 3, size, size).Probabilities;
            RequireClose(scores[i], probabilities);
            Assert.Equal(1, probabilities.Sum(), 1e-5f);
            Assert.Equal(labels[i], model.Classes[Array.IndexOf(probabilities, probabilities.Max())]);
        }
    }

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private float[] Scores(DplTransformer transformer, string path) =>
        transformer
            .Transform(_mlContext.Data.LoadFromEnumerable((LabelledImage[])[new LabelledImage { ImagePath = path }]))
            .GetColumn<float[]>("Score")
            .Single();

    private static void RequireClose(float[] expected, float[] actual, double tolerance = 1e-4)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= tolerance, $"probabilities differ by {difference}");
    }

    private DplTransformer Fit(ClipBackbone backbone, string configuration, Action<DplTrainer.Options>? change = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = backbone,
            ImageColumnName = "ImagePath",
            Training = { Epochs = 2, BatchSize = 6 },
            Configuration = PromptConfiguration.Parse(configuration),
        };
        change?.Invoke(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private sealed class PixelRow
    {
        [ColumnName(OnnxImageModel.Pixels), VectorType(1, 3, 24, 24)]
        public float[] Pixels { get; set; } = [];
    }
}
