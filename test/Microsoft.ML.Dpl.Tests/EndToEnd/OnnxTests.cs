using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.Prompts;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>SaveAsOnnx on trained models: ONNX Runtime says of pictures what the transformer says.</summary>
public sealed class OnnxTests(SmallBackbone small, ColourPictures pictures) : IClassFixture<SmallBackbone>, IClassFixture<ColourPictures>, IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).UseClipBackbone(small.Backbone);
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
        Assert.Equal(Written(trained), Written(loaded));
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
            using DplTransformer trained = Fit(ClipBackbone.FromFolder(folder.FullPath), "text 0 1 | image 0 2 1", o => o.ModelContents = DplModelContents.WithImageTower);
            expected = Written(trained);
            _mlContext.Model.Save(trained, Test.Schema, zip);
        }
        using var loaded = (DplTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal(expected, Written(loaded));
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
        using DplTransformer trained = Fit(ClipBackbone.Tiny, PromptConfiguration.Uniform(ClipBackbone.Tiny, 2).ToString());
        Compare(trained);
    }

    [Fact]
    public void Many_pictures_go_through_at_once()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        using var model = new OnnxModel(Written(trained));
        float[] pixels = [.. pictures.Test.SelectMany(row => trained.Pixels(row.ImagePath))];
        float[] probabilities = model.Score(pixels, pictures.Test.Count, 3, 24, 24).Probabilities;
        RequireClose([.. Scores(trained).SelectMany(row => row)], probabilities);
    }

    /// <summary>The resize rounds a few pixels otherwise (see <see cref="OnnxPictureTests"/>), so scores are a little apart.</summary>
    [Fact]
    public void A_model_that_takes_pictures_prepares_them_as_CLIP_does()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        byte[] written = Written(trained, DplOnnxInput.Picture);
        // What the oldest runtime reads that this input is promised for.
        ModelProto parsed = ModelProto.Parser.ParseFrom(written);
        Assert.Equal((8L, 18L), (parsed.IrVersion, Assert.Single(parsed.OpsetImport).Version));
        using var model = new OnnxModel(written);
        Assert.Equal([-1, -1, 3], model.Inputs["picture"].Dimensions);
        Assert.Equal([1, 3], model.Outputs["probabilities"].Dimensions);
        foreach (LabelledPicture row in pictures.Test) Check(row.ImagePath);

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
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1", o => (o.Template, o.ApplyExifOrientation, o.MaxImagePixels) = ("ein Bild, {}.", true, 12_345_678));
        using var model = new OnnxModel(Written(trained));
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
        foreach (var (name, value) in expected) Assert.Equal(value, model.Metadata[name]);
        ClipImageProcessorConfig preprocessing = small.Backbone.ReadPreprocessing();
        foreach (var (name, values) in new[] { ("mean", preprocessing.Mean), ("std", preprocessing.Deviation) }) Assert.Equal(values, JsonSerializer.Deserialize<float[]>(model.Metadata[name]));
        Assert.StartsWith("pixels: ", model.Metadata["input"]);
        Assert.Contains("bicubic", model.Metadata["resize"]);
        Assert.Contains("middle", model.Metadata["crop"]);
        Assert.DoesNotContain("padded", model.Metadata["crop"]);
        Assert.Contains("red, green, blue", model.Metadata["channels"]);
        Assert.Matches(@"^Microsoft\.ML\.Dpl \d+\.\d+\.\d+", model.Metadata["library"]);
        Assert.Equal([-1, 3, 24, 24], model.Inputs["pixels"].Dimensions);
        foreach (string output in new[] { "logits", "probabilities" }) Assert.Equal([-1, 3], model.Outputs[output].Dimensions);
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
        using var model = new OnnxModel(Written(trained));
        Assert.Equal(("24", $"{shortSide}"), (model.Metadata["image_size"], model.Metadata["resize_short_side"]));
        Assert.Equal(pads, model.Metadata["crop"].Contains("padded with 0", StringComparison.Ordinal));
        if (pads) Assert.Contains("dpl onnx --input pixels", Assert.Throws<NotSupportedException>(() => Written(trained, DplOnnxInput.Picture)).Message);
        else Assert.NotEmpty(Written(trained, DplOnnxInput.Picture));
    }

    [Fact]
    public void The_same_model_is_the_same_bytes_in_file_and_stream()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        byte[] first = Written(trained);
        Assert.Equal(first, Written(trained));
        string path = Path.Combine(_folder.FullPath, "new", "model.onnx");
        trained.SaveAsOnnx(path);
        Assert.Equal(first, File.ReadAllBytes(path));
        using (FileStream stream = File.Create(_folder.File("within.bin")))
        {
            stream.WriteByte(7);
            trained.SaveAsOnnx(stream);
            stream.WriteByte(9);
        }
        Assert.Equal((byte[])[7, .. first, 9], File.ReadAllBytes(_folder.File("within.bin")));
        trained.SaveAsOnnx(path, DplOnnxInput.Picture);
        Assert.NotEqual(first, File.ReadAllBytes(path));
        Assert.Equal(["model.onnx"], Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!).Select(entry => Path.GetFileName(entry)));
    }

    [Theory]
    [InlineData(DplOnnxInput.Pixels)]
    [InlineData(DplOnnxInput.Picture)]
    public void Weights_can_lie_beside_the_model(DplOnnxInput input)
    {
        using DplTransformer trained = Fit(ClipBackbone.Tiny, PromptConfiguration.Uniform(ClipBackbone.Tiny, 2).ToString());
        string path = _folder.File("with blank.onnx"), data = path + ".data";
        trained.SaveAsOnnx(path, input, externalData: true);
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder.FullPath).Order(StringComparer.Ordinal));
        byte[] whole = Written(trained, input);
        Assert.InRange(new FileInfo(path).Length, 1, whole.Length / 4);
        Assert.InRange(new FileInfo(data).Length, whole.Length / 2, whole.Length + (4 << 20));
        using OnnxModel expected = new(whole), actual = new(path);
        int size = ClipBackbone.Tiny.Config.ImageSize;
        (float[] Logits, float[] Probabilities) Score(OnnxModel model)
            => input == DplOnnxInput.Pixels ? model.Score(trained.Pixels(pictures.Test[0].ImagePath), 1, 3, size, size) : model.Score([.. Enumerable.Range(0, 50 * 40 * 3).Select(i => (byte)(i * 7))], 50, 40);
        Assert.Equal(Score(expected).Logits, Score(actual).Logits);
        Assert.Equal(Score(expected).Probabilities, Score(actual).Probabilities);
        Assert.Equal(expected.Metadata, actual.Metadata);
        byte[] first = File.ReadAllBytes(data);
        trained.SaveAsOnnx(path, input, externalData: true);
        Assert.Equal(first, File.ReadAllBytes(data));
        // Without its weights, under their name, it is none.
        File.Move(data, _folder.File("other.data"));
        Assert.Contains("with blank.onnx.data", Assert.Throws<OnnxRuntimeException>(() => new OnnxModel(path)).Message);
    }

    [Fact]
    public void What_is_too_large_for_one_file_becomes_two()
    {
        using DplTransformer trained = Fit(ClipBackbone.Tiny, PromptConfiguration.Uniform(ClipBackbone.Tiny, 1).ToString());
        string path = _folder.File("model.onnx"), data = path + ".data";
        long size = trained.Use(OnnxClassifier.SizeOf);
        DplOnnx.Save(trained, path, DplOnnxInput.Pixels, externalData: false, largest: size, default);
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
        Assert.Contains("Give SaveAsOnnx a path", Assert.Throws<NotSupportedException>(() => DplOnnx.Save(trained, Stream.Null, DplOnnxInput.Pixels, largest: size - 1, default)).Message);
        DplOnnx.Save(trained, path, DplOnnxInput.Pixels, externalData: false, largest: size - 1, default);
        Assert.True(File.Exists(data));
        using var model = new OnnxModel(path);
        Assert.Equal(trained.ClassNames, model.Classes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_cancelled_or_failed_write_leaves_both_files_as_they_were(bool cancelled)
    {
        using DplTransformer trained = Fit(small.Backbone, "text 0 0 | image 0 0 0");
        string path = _folder.File("model.onnx"), data = path + ".data";
        File.WriteAllText(path, "old");
        using var source = new CancellationTokenSource();
        if (cancelled)
        {
            File.WriteAllText(data, "old, too");
            source.Cancel();
        }
        else
        {
            Directory.CreateDirectory(data);
        }
        Exception thrown = Assert.ThrowsAny<Exception>(() => trained.SaveAsOnnx(path, externalData: true, cancellation: source.Token));
        Assert.True(cancelled ? thrown is OperationCanceledException : thrown is IOException && thrown.Message.Contains($"'{data}' is a folder", StringComparison.Ordinal), thrown.ToString());
        Assert.Equal("old", File.ReadAllText(path));
        if (cancelled) Assert.Equal("old, too", File.ReadAllText(data));
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder.FullPath).Order(StringComparer.Ordinal));
        if (!cancelled) return;
        foreach (bool beside in (bool[])[false, true]) Assert.Throws<OperationCanceledException>(() => trained.SaveAsOnnx(_folder.File("new.onnx"), externalData: beside, cancellation: source.Token));
        Assert.Throws<OperationCanceledException>(() => trained.SaveAsOnnx(Stream.Null, cancellation: source.Token));
        Assert.Equal(2, Directory.GetFileSystemEntries(_folder.FullPath).Length);
    }

    [Fact]
    public void A_failed_write_leaves_nothing()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 0 0 | image 0 0 0");
        string path = _folder.File("model.onnx");
        Directory.CreateDirectory(path);
        Assert.Contains($"'{path}' is a folder", Assert.Throws<IOException>(() => trained.SaveAsOnnx(path)).Message);
        string missing = _folder.File("missing") + Path.DirectorySeparatorChar;
        Assert.Contains("is a folder", Assert.Throws<IOException>(() => trained.SaveAsOnnx(missing)).Message);
        Assert.Throws<ArgumentException>(() => trained.SaveAsOnnx(" "));
        Assert.Throws<ArgumentNullException>(() => trained.SaveAsOnnx((Stream)null!));
        Assert.Throws<ArgumentNullException>(() => ((DplTransformer)null!).SaveAsOnnx(Stream.Null));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
        Assert.Throws<IOException>(() => trained.SaveAsOnnx(new ShortStream(1000)));
        Assert.Throws<ArgumentOutOfRangeException>(() => trained.SaveAsOnnx(_folder.File("other.onnx"), (DplOnnxInput)7));
        trained.Dispose();
        Assert.Throws<ObjectDisposedException>(() => trained.SaveAsOnnx(_folder.File("other.onnx")));
        Assert.Throws<ObjectDisposedException>(() => trained.Pixels(pictures.Test[0].ImagePath));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Fact]
    public void Where_numbers_have_commas_the_bytes_are_the_same()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 0 0 | image 0 0 2");
        byte[] expected = Written(trained);
        CultureInfo before = CultureInfo.CurrentCulture;
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (culture.NumberFormat.NumberDecimalSeparator, culture.NumberFormat.NegativeSign) = (",", "\u2212");
        CultureInfo.CurrentCulture = culture;
        try
        {
            Assert.Equal(expected, Written(trained));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public async Task Several_may_write_the_same_file_at_once_while_others_predict()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        byte[] expected = Written(trained);
        float[][] scores = Scores(trained);
        string path = _folder.File("model.onnx");
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() =>
        {
            if (i % 2 == 0) Assert.Equal(scores, Scores(trained));
            else for (int times = 0; times < 10; times++) trained.SaveAsOnnx(path);
        })));
        Assert.Equal(expected, File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Fact]
    public void Pixels_of_a_path_and_of_an_image_are_the_same()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 0 0 | image 0 0 0");
        using MLImage image = MLImage.CreateFromFile(pictures.Test[0].ImagePath);
        float[] pixels = trained.Pixels(image);
        Assert.Equal(3 * 24 * 24, pixels.Length);
        Assert.Equal(trained.Pixels(pictures.Test[0].ImagePath), pixels);
        // Back in bytes the planes are the picture's red, green and blue, which noise hardly moves on average.
        ClipImageProcessorConfig preprocessing = small.Backbone.ReadPreprocessing();
        foreach (var (plane, channel) in pixels.Chunk(24 * 24).Select((plane, channel) => (plane, channel)))
            Assert.Equal(channel == 0 ? 220 : 30, (plane.Average() * preprocessing.Deviation[channel] + preprocessing.Mean[channel]) * 255, 5f);
    }

    [Fact]
    public void ML_NET_applies_the_model()
    {
        using DplTransformer trained = Fit(small.Backbone, "text 1 1 | image 2 0 1");
        string path = _folder.File("model.onnx");
        trained.SaveAsOnnx(path);
        IDataView rows = _mlContext.Data.LoadFromEnumerable(pictures.Test.Select(row => new PixelRow { Pixels = trained.Pixels(row.ImagePath) }));
        using var applied = _mlContext.Transforms.ApplyOnnxModel([OnnxClassifier.Probabilities], [OnnxClassifier.Pixels], path).Fit(rows);
        RequireClose([.. Scores(trained).SelectMany(row => row)], [.. applied.Transform(rows).GetColumn<float[]>(OnnxClassifier.Probabilities).SelectMany(row => row)]);
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(pictures.Test);

    /// <summary>Picture by picture: label, scores, and that they sum to 1.</summary>
    private void Compare(DplTransformer transformer)
    {
        byte[] written = Written(transformer);
        Assert.Equal(OnnxClassifier.Opset, ModelProto.Parser.ParseFrom(written).OpsetImport.Single().Version);
        using var model = new OnnxModel(written);
        int size = transformer.Backbone.Config.ImageSize;
        string[] labels = [.. transformer.Transform(Test).GetColumn<string>("PredictedLabel")];
        float[][] scores = Scores(transformer);
        for (int i = 0; i < pictures.Test.Count; i++)
        {
            float[] probabilities = model.Score(transformer.Pixels(pictures.Test[i].ImagePath), 1, 3, size, size).Probabilities;
            RequireClose(scores[i], probabilities);
            Assert.Equal(1, probabilities.Sum(), 1e-5f);
            Assert.Equal(labels[i], model.Classes[Array.IndexOf(probabilities, probabilities.Max())]);
        }
    }

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private float[] Scores(DplTransformer transformer, string path)
        => transformer.Transform(_mlContext.Data.LoadFromEnumerable((LabelledPicture[])[new LabelledPicture { ImagePath = path }])).GetColumn<float[]>("Score").Single();

    private static byte[] Written(DplTransformer transformer, DplOnnxInput input = DplOnnxInput.Pixels)
    {
        using var stream = new MemoryStream();
        transformer.SaveAsOnnx(stream, input);
        return stream.ToArray();
    }

    private static void RequireClose(float[] expected, float[] actual, double tolerance = 1e-4)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= tolerance, $"probabilities differ by {difference}");
    }

    private DplTransformer Fit(ClipBackbone backbone, string configuration, Action<DplTrainer.Options>? change = null)
    {
        var options = new DplTrainer.Options { Backbone = backbone, ImageColumnName = "ImagePath", TrainingEpochs = 2, BatchSize = 6, Configuration = PromptConfiguration.Parse(configuration) };
        change?.Invoke(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(_mlContext.Data.LoadFromEnumerable(pictures.Train));
    }

    private sealed class PixelRow
    {
        [ColumnName(OnnxClassifier.Pixels), VectorType(1, 3, 24, 24)]
        public float[] Pixels { get; set; } = [];
    }

    /// <summary>A disk that is full after some bytes.</summary>
    private sealed class ShortStream(int room) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length + count > room) throw new IOException("full");
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (Length + buffer.Length > room) throw new IOException("full");
            base.Write(buffer);
        }
    }
}
