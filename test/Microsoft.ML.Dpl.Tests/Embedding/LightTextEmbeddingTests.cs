using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>CLIP's text embeddings computed by ONNX Runtime, from zips that contain CLIP.</summary>
public sealed class LightTextEmbeddingTests(SmallBackbone small) : IClassFixture<SmallBackbone>, IDisposable
{
    private static readonly string[] Texts =
    [
        "a red car",
        "",
        "A  RED CAR",
        "a blue bird in a tree beside a lake",
        "x",
        "ein Bär &amp; 🐻",
        "a red cat",
    ];

    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 5)]
    [InlineData(false, 32)]
    public void A_zip_that_carries_CLIP_gives_the_same_vectors(bool normalize, int batch)
    {
        using ClipEmbeddingTransformer heavy = Fit(new() { Normalize = normalize, BatchSize = batch });
        string zip = Save(heavy);
        using ClipOnnxEmbeddingTransformer light = Load(zip);
        Assert.Equal(
            ("Text", "Features", normalize, heavy.Backbone.Name),
            (light.InputColumnName, light.OutputColumnName, light.IsNormalized, light.BackboneName)
        );
        IDataView data = Data(Texts);
        SchemaAssert.Equal(heavy.GetOutputSchema(data.Schema), light.GetOutputSchema(data.Schema));
        float[][] vectors = Vectors(light, Texts);
        RequireClose(Vectors(heavy, Texts), vectors);
        // CLIP's tokenizer ignores case and repeated spaces.
        RequireClose([vectors[0]], [vectors[2]]);
        string again = Save(light);
        Assert.Equal(Entries(zip), Entries(again));
        using var heavyAgain = (ClipEmbeddingTransformer)_mlContext.Model.Load(again, out _);
        Assert.Equal(Vectors(heavy, Texts), Vectors(heavyAgain, Texts));
    }

    [Fact]
    public void So_does_that_of_the_tiny_CLIP()
    {
        string[] texts = ["a photo of a forest.", "a centered satellite photo of a river.", "river"];
        using ClipEmbeddingTransformer heavy = _mlContext
            .Transforms.ClipTextEmbedding("Features", "Text", ClipBackbone.Tiny, new ClipTextEmbeddingOptions { CarryClip = true })
            .Fit(Data(texts));
        using ClipOnnxEmbeddingTransformer light = Load(Save(heavy));
        RequireClose(Vectors(heavy, texts), Vectors(light, texts));
    }

    [Fact]
    public void Long_texts_are_told_once_a_pass_or_refused_with_the_same_words()
    {
        string[] rows = ["short", new string('x', 100), new string('y', 100), "short again"];
        var warnings = new List<string>();
        _mlContext.Log += (_, e) =>
        {
            if (e.Kind == ChannelMessageKind.Warning)
                warnings.Add(e.RawMessage);
        };
        using ClipEmbeddingTransformer cutting = Fit(new()),
            refusing = Fit(new() { RefuseLongTexts = true });
        using ClipOnnxEmbeddingTransformer light = Load(Save(cutting)),
            strict = Load(Save(refusing));
        // Warnings logged while saving and loading do not matter here.
        warnings.Clear();
        RequireClose(Vectors(cutting, rows), Vectors(light, rows));
        Assert.Equal(2, warnings.Count);
        Assert.Equal(warnings[0], warnings[1]);
        var error = Assert.Throws<TextTooLongException>(() => Vectors(strict, rows));
        Assert.Equal(1, error.Row);
        Assert.Equal(Assert.Throws<TextTooLongException>(() => Vectors(refusing, rows)).Message, error.Message);
    }

    [Fact]
    public void It_is_shared_by_engines_cancelled_and_disposed_as_the_other()
    {
        using ClipEmbeddingTransformer heavy = Fit(new());
        ClipOnnxEmbeddingTransformer light = Load(Save(heavy));
        using (PredictionEngine<Sentence, Embedded> engine = _mlContext.Model.CreatePredictionEngine<Sentence, Embedded>(light))
        {
            light.Dispose();
            RequireClose([Vectors(heavy, Texts)[0]], [engine.Predict(new Sentence { Text = Texts[0] }).Features]);
        }
        Assert.Contains("ClipOnnxEmbeddingTransformer", Assert.Throws<ObjectDisposedException>(() => Vectors(light, Texts)).Message);

        using ClipOnnxEmbeddingTransformer other = Load(Save(heavy));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            other.Transform(Data(Texts), cancelled.Token).GetColumn<float[]>("Features").Count()
        );
        IDataView without = _mlContext.Data.LoadFromEnumerable(new[] { new Embedded() });
        Assert.Equal(
            Assert.Throws<ArgumentOutOfRangeException>(() => heavy.Transform(without)).Message,
            Assert.Throws<ArgumentOutOfRangeException>(() => other.Transform(without)).Message
        );
    }

    [Theory]
    [InlineData("clip.text.safetensors", "clip.text.safetensors: the weights do not match the SHA-256 saved with them")]
    [InlineData("clip.vocab.json", "clip.vocab.json")]
    [InlineData("clip.merges.txt", "has no entry 'clip.merges.txt'")]
    public void A_damaged_zip_is_named_with_its_entry(string entry, string reason)
    {
        using ClipEmbeddingTransformer heavy = Fit(new());
        string zip = Save(heavy);
        using (ZipArchive archive = ZipFile.Open(zip, ZipArchiveMode.Update))
        {
            ZipArchiveEntry old = archive.Entries.Single(e => e.Name == entry);
            using var bytes = new MemoryStream();
            using (Stream from = old.Open())
                from.CopyTo(bytes);
            string fullName = old.FullName;
            old.Delete();
            if (!entry.EndsWith(".txt", StringComparison.Ordinal))
            {
                byte[] changed = bytes.ToArray();
                // Flips the least significant bit of a byte: the last one of a JSON file, else one near the end of the data.
                changed[entry.EndsWith(".json", StringComparison.Ordinal) ? ^1 : ^8] ^= 1;
                using Stream to = archive.CreateEntry(fullName).Open();
                to.Write(changed);
            }
        }
        string message = Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadWithOnnxRuntime(zip, out _)).Message;
        Assert.Contains(zip, message);
        Assert.Contains(reason, message);
    }

    [Fact]
    public void A_zip_that_names_CLIP_says_what_to_save_it_with()
    {
        using ClipEmbeddingTransformer named = _mlContext.Transforms.ClipTextEmbedding("Features", "Text", small.Backbone).Fit(Data(Texts));
        string message = Assert.Throws<InvalidOperationException>(() => _mlContext.Model.LoadWithOnnxRuntime(Save(named), out _)).Message;
        Assert.Contains("does not have CLIP's text tower", message);
        Assert.Contains("CarriesClip = true", message);
    }

    private ClipEmbeddingTransformer Fit(ClipTextEmbeddingOptions options)
    {
        ClipEmbeddingTransformer fitted = _mlContext
            .Transforms.ClipTextEmbedding("Features", "Text", small.Backbone, options)
            .Fit(Data(Texts));
        fitted.CarriesClip = true;
        return fitted;
    }

    private ClipOnnxEmbeddingTransformer Load(string zip) => (ClipOnnxEmbeddingTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out _);

    private string Save(ITransformer transformer)
    {
        string zip = _folder.File($"{Guid.NewGuid():n}.zip");
        _mlContext.Model.Save(transformer, Data(Texts).Schema, zip);
        return zip;
    }

    private IDataView Data(IEnumerable<string> texts) =>
        _mlContext.Data.LoadFromEnumerable(texts.Select(text => new Sentence { Text = text }));

    private float[][] Vectors(ITransformer transformer, IEnumerable<string> texts) =>
        [.. transformer.Transform(Data(texts)).GetColumn<float[]>("Features")];

    /// <summary>Compares vectors that need not have length 1, so the tolerance is relative to their length.</summary>
    private static void RequireClose(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.Equal(a.Length, b.Length);
            double length = Math.Max(1, Math.Sqrt(a.Sum(x => (double)x * x)));
            Assert.InRange(a.Zip(b, (x, y) => Math.Abs(x - y)).Max(), 0, 1e-5 * length);
        }
    }

    private static List<(string Name, long Length, uint Checksum)> Entries(string zip)
    {
        using ZipArchive archive = ZipFile.OpenRead(zip);
        return [.. archive.Entries.OrderBy(e => e.FullName, StringComparer.Ordinal).Select(e => (e.FullName, e.Length, e.Crc32))];
    }

    private sealed class Sentence
    {
        public string Text { get; set; } = "";
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
