using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>The text tower as a graph: ONNX Runtime computes the same embeddings as libtorch.</summary>
public sealed class OnnxTextTests(SmallBackbone small) : IClassFixture<SmallBackbone>, IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("plain", OnnxPrecision.Float32, 1e-5)]
    [InlineData("gelu", OnnxPrecision.Float32, 1e-5)]
    [InlineData("one layer", OnnxPrecision.Float32, 1e-5)]
    [InlineData("end by its id", OnnxPrecision.Float32, 1e-5)]
    [InlineData("plain", OnnxPrecision.Float16, 0.005)]
    [InlineData("gelu", OnnxPrecision.Int8, 0.08)]
    [InlineData("end by its id", OnnxPrecision.Int8, 0.08)]
    public void Vectors_are_those_of_the_tower(string shape, OnnxPrecision precision, double tolerance)
    {
        ClipConfig config = shape switch
        {
            "gelu" => RandomClip.Shape(activation: ClipActivation.Gelu),
            "one layer" => RandomClip.Shape(textLayers: 1, textWidth: 22, textHeads: 1),
            "end by its id" => RandomClip.Shape() with { EndOfTextId = 5 },
            _ => RandomClip.Shape() with { EndOfTextId = null },
        };
        int end = config.EndOfTextId ?? config.VocabularySize - 1,
            longest = config.ContextLength;
        var random = new Random(3);
        // Texts of any length up to the longest; a second end token, and what follows the first, are ignored.
        int[][] texts =
        [
            [1, end],
            [1, 7, 8, end, 9, end, 3],
            [.. Enumerable.Range(0, longest - 1).Select(_ => random.Next(6, config.VocabularySize - 1)), end],
            [end],
        ];
        using var clip = new RandomClip(config, seed: 11);
        using var scope = NewDisposeScope();
        using var arranged = new ClassTexts(texts, clip.Text);
        var plain = new PlainBranch(config.Text.Layers);
        Tensor raw = new TextTower(clip.Text).Features(arranged, plain),
            unit = new TextTower(clip.Text).UnitFeatures(arranged, plain);
        foreach (bool normalize in new[] { false, true })
        foreach (GraphOptimizationLevel level in new[] { GraphOptimizationLevel.ORT_ENABLE_ALL, GraphOptimizationLevel.ORT_DISABLE_ALL })
        {
            float[] expected = (normalize ? unit : raw).data<float>().ToArray();
            byte[] graph = Graph(clip.Text, normalize, precision);
            Assert.Equal(graph, Graph(clip.Text, normalize, precision));
            float[] found = Run(graph, level, texts);
            double scale = expected.Max(Math.Abs);
            Assert.InRange(expected.Zip(found, (a, b) => Math.Abs(a - b)).Max(), 0, tolerance * Math.Max(1, scale));
            // The other texts of the batch, and their lengths, do not matter.
            for (int i = 0; i < texts.Length; i++)
            {
                float[] alone = Run(graph, level, [texts[i]]);
                Assert.All(alone.Zip(found.Skip(i * config.EmbeddingWidth)), pair =>
                    Assert.Equal(pair.First, pair.Second, (float)(1e-4 * Math.Max(1, scale)))
                );
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_written_file_gives_the_vectors_of_tokens_and_says_how_texts_become_them(bool normalize)
    {
        string[] texts = ["a red car", "x"];
        IDataView rows = _mlContext.Data.LoadFromEnumerable(texts.Select(text => new { Text = text }));
        using ClipEmbeddingTransformer heavy = _mlContext
            .Transforms.ClipTextEmbedding("Features", "Text", small.Backbone, new ClipTextEmbeddingOptions { Normalize = normalize })
            .Fit(rows);
        string path = _folder.File("texts.onnx");
        heavy.SaveAsOnnx(path, externalData: normalize);
        Assert.Equal(normalize, File.Exists(path + ".data"));
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        Assert.Equal((8L, 17L), (written.IrVersion, Assert.Single(written.OpsetImport).Version));
        using var session = new InferenceSession(path);
        IReadOnlyDictionary<string, string> metadata = session.ModelMetadata.CustomMetadataMap;
        ClipTokenizer tokenizer = small.Backbone.CreateTokenizer();
        Dictionary<string, string> expected = new()
        {
            ["normalized"] = normalize ? "true" : "false",
            ["precision"] = "float32",
            ["context_length"] = "48",
            ["start_of_text"] = $"{tokenizer.StartId}",
            ["end_of_text"] = $"{tokenizer.EndId}",
            ["backbone"] = small.Backbone.Name,
            ["backbone_sha256"] = small.Backbone.Sha256,
        };
        foreach (var (name, value) in expected)
            Assert.Equal(value, metadata[name]);
        Assert.StartsWith("tokens: int64 [batch, length]", metadata["input"]);
        Assert.Contains("byte-pair", metadata["tokens"]);
        float[] vectors = [.. heavy.Transform(rows).GetColumn<float[]>("Features").SelectMany(vector => vector)];
        float[] found = Run(session, [.. texts.Select(text => tokenizer.Encode(text, 48, out _))]);
        double scale = Math.Max(1, vectors.Max(Math.Abs));
        Assert.InRange(vectors.Zip(found, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-5 * scale);
    }

    [Fact]
    public void It_has_the_size_that_is_promised_and_takes_no_images()
    {
        IDataView rows = _mlContext.Data.LoadFromEnumerable(new[] { new { Text = "" } });
        using ClipEmbeddingTransformer heavy = _mlContext.Transforms.ClipTextEmbedding("Features", "Text", small.Backbone).Fit(rows);
        foreach (OnnxPrecision precision in Enum.GetValues<OnnxPrecision>())
        {
            using var stream = new MemoryStream();
            heavy.SaveAsOnnx(stream, precision: precision);
            Assert.InRange(OnnxTextEmbedding.SizeOf(small.Backbone.Config, precision), stream.Length, stream.Length + (17 << 20));
        }
        string message = Assert.Throws<NotSupportedException>(() => heavy.SaveAsOnnx(_folder.File("texts.onnx"), OnnxInput.Image)).Message;
        Assert.Contains("'Features' embeds texts", message);
        Assert.Empty(Directory.GetFiles(_folder.FullPath));
    }

    private static byte[] Graph(TextWeights weights, bool normalize, OnnxPrecision precision)
    {
        using var stream = new MemoryStream();
        OnnxImageModel.Write(OnnxTextEmbedding.Create(TextTowerArrays.From(weights), normalize, [], precision), stream);
        return stream.ToArray();
    }

    private static float[] Run(byte[] graph, GraphOptimizationLevel level, int[][] texts)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = level,
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        using var session = new InferenceSession(graph, options);
        return Run(session, texts);
    }

    /// <summary>Runs the graph; shorter texts are padded with zeros.</summary>
    private static float[] Run(InferenceSession session, int[][] texts)
    {
        int length = texts.Max(text => text.Length);
        long[] tokens = [.. texts.SelectMany(text => text.Concat(Enumerable.Repeat(0, length - text.Length))).Select(id => (long)id)];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(tokens, [texts.Length, length]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, ["tokens"], [input], ["embedding"]);
        Assert.Equal(texts.Length, outputs[0].GetTensorTypeAndShape().Shape[0]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }
}
