using System.Text;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using Microsoft.ML.Dpl.Tests.Onnx;
using SkiaSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>A mixture as a model can do everything that a model of fixed lengths can.</summary>
public sealed class MixtureModelTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<int[], float[]?> Mixtures =>
        new()
        {
            { [0, 2, 4], null },
            { [0, 3], null },
            { [0, 1, 2], [0.5f, 0.5f, 0f] },
        };

    [Theory]
    [MemberData(nameof(Mixtures))]
    public void It_scores_as_it_was_trained(int[] candidates, float[]? weights)
    {
        using var model = new MixtureModel(small.Backbone, candidates, weights);
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        float[] pixels = [.. images.Test.SelectMany(row => model.Transformer.Pixels(row.ImagePath))];
        Tensor batch = NativeTensor.From(pixels, [images.Test.Count, 3, 24, 24]);
        Tensor expected = model.Clip.Logits(batch, model.Branches, backward).softmax(-1);
        Close.Relative(expected, tensor(Scores(model.Transformer).SelectMany(row => row).ToArray()).view_as(expected), 1e-5, "scores");
    }

    [Theory]
    [InlineData(ModelContents.PromptsOnly)]
    [InlineData(ModelContents.WithImageTower)]
    [InlineData(ModelContents.WithClip)]
    public void It_is_the_same_after_saving_and_loading(ModelContents contents)
    {
        using var model = new MixtureModel(small.Backbone, [0, 2, 4]);
        model.Transformer.Contents = contents;
        string zip = _folder.File("model.zip");
        File.WriteAllBytes(zip, Saved(model.Transformer));
        ModelZip.Check(zip);
        using var loaded = (DplTransformer)_mlContext.Model.Load(zip, out _);
        Assert.Equal(Scores(model.Transformer), Scores(loaded));
        TrainedMixture mixture = loaded.Mixture!;
        Assert.Equal([0, 2, 4], mixture.CandidateLengths);
        Assert.Equal(model.Branches.Text.Weights, mixture.TextWeights);
        Assert.Equal(model.Branches.Image.Weights, mixture.ImageWeights);
        foreach (var (expected, actual) in ZipBytes.Entries(Saved(model.Transformer)).Zip(ZipBytes.Entries(Saved(loaded))))
        {
            Assert.Equal(expected.Name, actual.Name);
            Assert.Equal(expected.Content, actual.Content);
        }

        ModelInfo info = ModelInfo.Read(zip);
        Assert.Equal([0, 2, 4], info.MixtureCandidateLengths);
        Assert.Equal(loaded.Configuration, info.Configuration);
    }

    [Fact]
    public void Its_configuration_is_the_largest_weight_of_each_layer_the_shorter_of_equals()
    {
        using MixtureModel last = new(small.Backbone, [0, 2, 4], [0.2f, 0.3f, 0.5f]),
            equal = new(small.Backbone, [0, 2, 4], [0.2f, 0.4f, 0.4f]);
        Assert.Equal(PromptConfiguration.Uniform(small.Backbone, 4), last.Transformer.Configuration);
        Assert.Equal(PromptConfiguration.Uniform(small.Backbone, 2), equal.Transformer.Configuration);
    }

    /// <summary>Also if length 0 has the largest weight, in which case a reader of fixed lengths would expect no prompts.</summary>
    [Theory]
    [InlineData(0.2f)]
    [InlineData(0.8f)]
    public void A_reader_that_knows_fixed_lengths_alone_cannot_misread_it(float plain)
    {
        using var model = new MixtureModel(small.Backbone, [0, 2], [plain, 1 - plain]);
        byte[] zip = Saved(model.Transformer);
        Assert.Equal((4, 4), ZipBytes.FormatVersions(zip));
        using var file = SafetensorsFile.FromBytes(Entry(zip, "prompts.safetensors"), "prompts");
        Assert.DoesNotContain(file.Entries.Keys, name => name.StartsWith("image.", StringComparison.Ordinal));
        Assert.DoesNotContain(file.Entries.Keys, name => name.StartsWith("text.", StringComparison.Ordinal));
        Assert.Equal([2, 24], file.Entries["image_mixture.2"].Shape);
        Assert.Equal([2], file.Entries["text_weights.1"].Shape);
        using JsonDocument description = JsonDocument.Parse(Entry(zip, "dpl.json"));
        Assert.Equal("[0,2]", Unspaced(description.RootElement.GetProperty("mixture").GetProperty("candidateLengths")));

        static string Unspaced(JsonElement element) => JsonSerializer.Serialize(element);
    }

    [Fact]
    public void Fixed_lengths_are_written_as_ever()
    {
        using DplTransformer fixedLengths = _mlContext.DifferentiablePromptModel(
            new ExportedPrompts
            {
                Text = [new float[1, 32], null],
                Image = [null, new float[2, 24], null],
                ClassNames = ["red", "blue"],
            },
            small.Backbone,
            "ImagePath"
        );
        Assert.Null(fixedLengths.Mixture);
        byte[] zip = Saved(fixedLengths);
        Assert.Equal((2, 1), ZipBytes.FormatVersions(zip));
        Assert.DoesNotContain("mixture", Encoding.UTF8.GetString(Entry(zip, "dpl.json")));
        using var file = SafetensorsFile.FromBytes(Entry(zip, "prompts.safetensors"), "prompts");
        Assert.Equal(["class_features", "image.1", "logit_scale", "text.0"], file.Entries.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Other_classes_are_read_under_the_mixture()
    {
        using MixtureModel model = new(small.Backbone, [0, 2, 4]),
            plain = new(small.Backbone, [0, 2, 4], [1, 0, 0]);
        using DplTransformer same = model.Transformer.WithClasses(model.Transformer.ClassNames),
            others = model.Transformer.WithClasses(["pink", "white"]),
            plainOthers = plain.Transformer.WithClasses(["pink", "white"]);
        Assert.Equal(Scores(model.Transformer), Scores(same));
        Assert.Equal(model.Transformer.Configuration, others.Configuration);
        Assert.Equal([0, 2, 4], others.Mixture!.CandidateLengths);
        Assert.NotEqual(Scores(plainOthers), Scores(others));
        using var loaded = (DplTransformer)_mlContext.Model.Load(new MemoryStream(Saved(others)), out _);
        Assert.Equal(Scores(others), Scores(loaded));
    }

    [Fact]
    public void Rows_of_all_candidates_have_words_and_images_an_explanation()
    {
        using var model = new MixtureModel(small.Backbone, [0, 2, 4]);
        Assert.Equal(Enumerable.Range(0, 6), model.Transformer.NearestWords(0, 3).Select(row => row.Row));
        ClassExplanation explanation = model.Transformer.Explain(images.Test[0].ImagePath, "green");
        Assert.Equal(Scores(model.Transformer)[0][1], explanation.Probability, 1e-5f);
        Assert.Equal((0f, 1f), (explanation.Relevance.Min(), explanation.Relevance.Max()));
    }

    [Theory]
    [MemberData(nameof(Mixtures))]
    public void In_ONNX_it_says_the_same(int[] candidates, float[]? weights)
    {
        using var model = new MixtureModel(small.Backbone, candidates, weights);
        using var onnx = new OnnxModel(OnnxModel.Written(model.Transformer));
        float[] pixels = [.. images.Test.SelectMany(row => model.Transformer.Pixels(row.ImagePath))];
        float[] expected = [.. Scores(model.Transformer).SelectMany(row => row)],
            actual = onnx.Score(pixels, images.Test.Count, 3, 24, 24).Probabilities;
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i], 1e-5f);
        using JsonDocument mixture = JsonDocument.Parse(onnx.Metadata["mixture"]);
        Assert.Equal(candidates, mixture.RootElement.GetProperty("candidates").Deserialize<int[]>());
        Assert.Equal(model.Branches.Image.Weights, mixture.RootElement.GetProperty("image_weights").Deserialize<float[][]>());
        Assert.Equal(model.Branches.Text.Weights, mixture.RootElement.GetProperty("text_weights").Deserialize<float[][]>());
    }

    /// <summary>An ONNX file with image input uses another opset than one with pixel input, and some operators differ between the
    /// two.</summary>
    [Fact]
    public void In_ONNX_it_takes_images_too()
    {
        using var model = new MixtureModel(small.Backbone, [0, 2, 4]);
        using var onnx = new OnnxModel(OnnxModel.Written(model.Transformer, OnnxInput.Image));
        using SKBitmap decoded = SKBitmap.Decode(images.Test[0].ImagePath);
        byte[] rgb = [.. decoded.Pixels.SelectMany(pixel => new[] { pixel.Red, pixel.Green, pixel.Blue })];
        float[] actual = onnx.Score(rgb, decoded.Height, decoded.Width).Probabilities;
        foreach (var (expected, score) in Scores(model.Transformer)[0].Zip(actual))
            Assert.Equal(expected, score, 1e-3f);
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private byte[] Saved(DplTransformer transformer)
    {
        using var zip = new MemoryStream();
        _mlContext.Model.Save(transformer, Test.Schema, zip);
        return zip.ToArray();
    }

    private static byte[] Entry(byte[] zip, string name) =>
        ZipBytes.Entries(zip).Single(entry => entry.Name.EndsWith(name, StringComparison.Ordinal)).Content;
}
