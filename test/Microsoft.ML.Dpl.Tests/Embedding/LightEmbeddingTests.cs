using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>CLIP's image embeddings computed by ONNX Runtime, from model zips and from files that SaveAsOnnx writes.</summary>
public sealed class LightEmbeddingTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_zip_that_carries_CLIP_gives_the_same_vectors(bool normalize)
    {
        using ClipEmbeddingTransformer heavy = Fit(
            new()
            {
                Normalize = normalize,
                CarryClip = true,
                BatchSize = 4,
            }
        );
        string zip = Save(heavy);
        using var light = (ClipOnnxEmbeddingTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out DataViewSchema? schema);
        Assert.NotNull(schema);
        Assert.Equal(
            ("ImagePath", "Features", normalize, heavy.Backbone.Name),
            (light.InputColumnName, light.OutputColumnName, light.IsNormalized, light.BackboneName)
        );
        SchemaAssert.Equal(heavy.GetOutputSchema(Test.Schema), light.GetOutputSchema(Test.Schema));
        RequireClose(Vectors(heavy), Vectors(light));
        string again = Save(light);
        Assert.Equal(Entries(zip), Entries(again));
        using var heavyAgain = (ClipEmbeddingTransformer)_mlContext.Model.Load(again, out _);
        Assert.Equal(Vectors(heavy), Vectors(heavyAgain));
    }

    [Fact]
    public void It_is_shared_by_engines_cancelled_and_disposed_as_the_other()
    {
        using ClipEmbeddingTransformer heavy = Fit(new() { CarryClip = true });
        var light = (ClipOnnxEmbeddingTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(heavy), out _);
        using (PredictionEngine<LabelledImage, Embedded> engine = _mlContext.Model.CreatePredictionEngine<LabelledImage, Embedded>(light))
        {
            light.Dispose();
            RequireClose([Vectors(heavy)[0]], [engine.Predict(images.Test[0]).Features]);
        }
        Assert.Contains("ClipOnnxEmbeddingTransformer", Assert.Throws<ObjectDisposedException>(() => Vectors(light)).Message);

        using var other = (ClipOnnxEmbeddingTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(heavy), out _);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => other.Transform(Test, cancelled.Token).GetColumn<float[]>("Features").Count());
        IDataView missing = _mlContext.Data.LoadFromEnumerable((LabelledImage[])[images.Test[0], new() { ImagePath = "gone.png" }]);
        Assert.Equal(
            Assert.Throws<UnreadableImageException>(() => heavy.Transform(missing).GetColumn<float[]>("Features").Count()).Message,
            Assert.Throws<UnreadableImageException>(() => other.Transform(missing).GetColumn<float[]>("Features").Count()).Message
        );
    }

    [Fact]
    public void What_ONNX_Runtime_cannot_embed_is_said()
    {
        using ClipEmbeddingTransformer named = Fit(new());
        string message = Assert.Throws<InvalidOperationException>(() => _mlContext.Model.LoadWithOnnxRuntime(Save(named), out _)).Message;
        Assert.Contains("CarriesClip = true", message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_written_graph_gives_the_vectors_of_pixels(bool normalize)
    {
        using ClipEmbeddingTransformer heavy = Fit(new() { Normalize = normalize });
        string path = _folder.File("embedding.onnx");
        heavy.SaveAsOnnx(path, externalData: normalize);
        Assert.Equal(normalize, File.Exists(path + ".data"));
        using var session = new InferenceSession(path);
        IReadOnlyDictionary<string, string> metadata = session.ModelMetadata.CustomMetadataMap;
        Assert.Equal((normalize ? "true" : "false", "24"), (metadata["normalized"], metadata["image_size"]));
        Assert.Equal(heavy.Backbone.Name, metadata["backbone"]);
        // The pixels come from a zero-shot classifier of the same CLIP.
        using DplTransformer zeroShot = _mlContext
            .MulticlassClassification.ClipZeroShot(small.Backbone, ["red", "blue"], null, "ImagePath")
            .Fit(Test);
        float[] pixels = [.. images.Test.SelectMany(row => zeroShot.Pixels(row.ImagePath))];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(pixels, [images.Test.Count, 3, 24, 24]);
        RequireClose(Vectors(heavy), Run(session, "pixels", input));
    }

    [Fact]
    public void A_graph_that_takes_images_prepares_them_itself()
    {
        using ClipEmbeddingTransformer heavy = Fit(new());
        using var stream = new MemoryStream();
        heavy.SaveAsOnnx(stream, OnnxInput.Image);
        using var session = new InferenceSession(stream.ToArray());
        using MLImage image = MLImage.CreateFromFile(images.Test[0].ImagePath);
        int step = image.BitsPerPixel / 8;
        bool isBlueFirst = image.PixelFormat == MLPixelFormat.Bgra32;
        byte[] rgb = [.. image.Pixels.ToArray().Chunk(step).SelectMany(pixel => isBlueFirst ? [pixel[2], pixel[1], pixel[0]] : pixel[..3])];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(rgb, [image.Height, image.Width, 3]);
        // Resizing may round some pixels differently, by one of 256 levels.
        RequireClose([Vectors(heavy)[0]], Run(session, "image", input), 1e-3);
    }

    private ClipEmbeddingTransformer Fit(ClipImageEmbeddingOptions options) =>
        _mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone, options).Fit(Test);

    private string Save(ITransformer transformer)
    {
        string zip = _folder.File($"{Guid.NewGuid():n}.zip");
        _mlContext.Model.Save(transformer, Test.Schema, zip);
        return zip;
    }

    private float[][] Vectors(ITransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Features")];

    private static float[][] Run(InferenceSession session, string name, OrtValue input)
    {
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [name], [input], ["embedding"]);
        int width = (int)outputs[0].GetTensorTypeAndShape().Shape[1];
        return [.. outputs[0].GetTensorDataAsSpan<float>().ToArray().Chunk(width)];
    }

    /// <summary>Compares vectors that need not have length 1, so the tolerance is relative to their length.</summary>
    private static void RequireClose(float[][] expected, float[][] actual, double tolerance = 1e-5)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.Equal(a.Length, b.Length);
            double length = Math.Max(1, Math.Sqrt(a.Sum(x => (double)x * x)));
            Assert.InRange(a.Zip(b, (x, y) => Math.Abs(x - y)).Max(), 0, tolerance * length);
        }
    }

    private static List<(string Name, long Length, uint Checksum)> Entries(string zip)
    {
        using ZipArchive archive = ZipFile.OpenRead(zip);
        return [.. archive.Entries.OrderBy(e => e.FullName, StringComparer.Ordinal).Select(e => (e.FullName, e.Length, e.Crc32))];
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
