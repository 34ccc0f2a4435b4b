using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Embedding;

/// <summary>CLIP's text embeddings as a column.</summary>
public sealed class TextEmbeddingTests(SmallBackbone small) : IClassFixture<SmallBackbone>
{
    private static readonly string[] Texts = ["a red car", "a red car", "A  RED CAR", "", "a blue bird in a tree", "x", "a red cat"];

    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void It_is_what_the_method_written_down_gives(bool normalize)
    {
        using ClipEmbeddingTransformer transformer = Fit(new ClipTextEmbeddingOptions { Normalize = normalize, BatchSize = 5 });
        float[][] found = Vectors(transformer, Texts);
        ClipConfig config = small.Backbone.Config;
        using var random = new RandomClip(config, seed: 7);
        using var naive = new NaiveClip(random, config);
        using var scope = NewDisposeScope();
        ClipTokenizer tokenizer = small.Backbone.CreateTokenizer();
        int[][] tokens = [.. Texts.Select(text => tokenizer.Encode(text, config.ContextLength, out _))];
        NaiveLayer[] plain = [.. Enumerable.Range(0, config.Text.Layers).Select(_ => new NaiveLayer(zeros(1), [null]))];
        Tensor expected = naive.TextFeatures(tokens, plain);
        if (normalize)
            expected /= expected.norm(-1, keepdim: true, p: 2.0f);
        Close.Relative(
            expected,
            tensor(found.SelectMany(v => v).ToArray()).view(Texts.Length, config.EmbeddingWidth),
            1e-4,
            "text embeddings"
        );
        // CLIP's tokenizer ignores case and repeated spaces.
        Assert.Equal(found[0], found[1]);
        Assert.Equal(found[0], found[2]);
        Assert.NotEqual(found[0], found[6]);
    }

    [Fact]
    public void Batches_of_any_size_and_engines_agree()
    {
        using ClipEmbeddingTransformer single = Fit(new ClipTextEmbeddingOptions { BatchSize = 1 }),
            many = Fit();
        float[][] one = Vectors(single, Texts),
            all = Vectors(many, Texts);
        for (int row = 0; row < Texts.Length; row++)
        for (int i = 0; i < one[row].Length; i++)
            Assert.Equal(one[row][i], all[row][i], 1e-5f);
        using PredictionEngine<Sentence, Embedded> engine = _mlContext.Model.CreatePredictionEngine<Sentence, Embedded>(single);
        Assert.Equal(one, [.. Texts.Select(text => engine.Predict(new Sentence { Text = text }).Features)]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_zip_gives_the_same_bits_and_the_promised_schema(bool carries)
    {
        ClipEmbeddingEstimator estimator = _mlContext.Transforms.ClipTextEmbedding(
            "Features",
            "Text",
            small.Backbone,
            new ClipTextEmbeddingOptions { CarryClip = carries, RefuseLongTexts = true }
        );
        IDataView data = Data(Texts);
        using ClipEmbeddingTransformer transformer = estimator.Fit(data);
        SchemaAssert.Equal(
            estimator.GetOutputSchema(MLNetInternals.ShapeOf(data.Schema)),
            MLNetInternals.ShapeOf(transformer.Transform(data).Schema)
        );
        using var zip = new MemoryStream();
        _mlContext.Model.Save(transformer, data.Schema, zip);
        zip.Position = 0;
        using var loaded = (ClipEmbeddingTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Equal(carries, loaded.Backbone.Location is null);
        SchemaAssert.Equal(transformer.GetOutputSchema(data.Schema), loaded.GetOutputSchema(data.Schema));
        Assert.Equal(Vectors(transformer, Texts), Vectors(loaded, Texts));
        Assert.Throws<TextTooLongException>(() => Vectors(loaded, [new string('x', 100)]));
    }

    [Fact]
    public void Long_texts_are_told_once_a_pass_or_refused_when_their_row_is_read()
    {
        string[] rows = ["short", new string('x', 100), new string('y', 100), "short again"];
        var warnings = new List<string>();
        _mlContext.Log += (_, e) =>
        {
            if (e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning)
                warnings.Add(e.RawMessage);
        };
        using ClipEmbeddingTransformer cutting = Fit(),
            refusing = Fit(new ClipTextEmbeddingOptions { RefuseLongTexts = true });
        Assert.Equal(4, Vectors(cutting, rows).Length);
        Assert.Contains("Row 1 (counted from 0), text column 'Text'", Assert.Single(warnings));
        Vectors(cutting, rows);
        Assert.Equal(2, warnings.Count);

        IDataView embedded = refusing.Transform(Data(rows));
        Assert.Single(_mlContext.Data.TakeRows(embedded, 1).GetColumn<float[]>("Features"));
        var error = Assert.Throws<TextTooLongException>(() => embedded.GetColumn<float[]>("Features").Count());
        Assert.Equal(1, error.Row);
        Assert.Contains("48 tokens", error.Message);
        Assert.Single(_mlContext.Data.SkipRows(embedded, 3).GetColumn<float[]>("Features"));
    }

    [Fact]
    public void What_is_no_text_is_refused_by_name()
    {
        foreach ((string column, string named) in new[] { ("Number", "Single"), ("Words", "Vector"), ("Missing", "'Missing'") })
        {
            ClipEmbeddingEstimator estimator = _mlContext.Transforms.ClipTextEmbedding("Features", column, small.Backbone);
            IDataView data = Data(Texts);
            Assert.Contains(named, Assert.Throws<ArgumentOutOfRangeException>(() => estimator.Fit(data)).Message);
        }
    }

    [Fact]
    public void A_CLIP_without_a_text_tower_is_refused()
    {
        using var zip = new MemoryStream();
        IDataView data = _mlContext.Data.LoadFromEnumerable(new[] { new { ImagePath = "a.png" } });
        using (
            ClipEmbeddingTransformer image = _mlContext
                .Transforms.ClipImageEmbedding("Features", "ImagePath", small.Backbone, new ClipImageEmbeddingOptions { CarryClip = true })
                .Fit(data)
        )
            _mlContext.Model.Save(image, data.Schema, zip);
        zip.Position = 0;
        using var loaded = (ClipEmbeddingTransformer)new MLContext().Model.Load(zip, out _);
        Assert.Contains(
            "image tower only",
            Assert.Throws<ArgumentException>(() => _mlContext.Transforms.ClipTextEmbedding("Features", "Text", loaded.Backbone)).Message
        );
    }

    private IDataView Data(IEnumerable<string> texts) =>
        _mlContext.Data.LoadFromEnumerable(texts.Select(text => new Sentence { Text = text, Words = ["a", "b"] }));

    private float[][] Vectors(ClipEmbeddingTransformer transformer, IEnumerable<string> texts) =>
        [.. transformer.Transform(Data(texts)).GetColumn<float[]>("Features")];

    private ClipEmbeddingTransformer Fit(ClipTextEmbeddingOptions? options = null) =>
        _mlContext.Transforms.ClipTextEmbedding("Features", "Text", small.Backbone, options).Fit(Data(Texts));

    private sealed class Sentence
    {
        public string Text { get; set; } = "";

        public float Number { get; set; }

        [VectorType(2)]
        public string[] Words { get; set; } = ["a", "b"];
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
