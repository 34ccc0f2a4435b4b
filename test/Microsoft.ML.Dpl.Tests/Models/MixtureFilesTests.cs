using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Tampered zips and prompt files of a mixture, and prompt files as they are written.</summary>
public sealed partial class MixtureFilesTests : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>, IDisposable
{
    private readonly SmallBackbone _small;
    private readonly ColourImages _images;
    private readonly MLContext _mlContext;
    private readonly MixtureModel _model;
    private readonly TemporaryFolder _folder = new();

    public MixtureFilesTests(SmallBackbone small, ColourImages images)
    {
        (_small, _images) = (small, images);
        _mlContext = new MLContext(1).Knowing(small.Backbone);
        _model = new MixtureModel(small.Backbone, [0, 2, 4], [0.2f, 0.3f, 0.5f]);
    }

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    public static TheoryData<string, string, Func<Tensor, Tensor?>, string> ChangedTensors =>
        new()
        {
            { "rows of fewer candidates", "image_mixture.1", rows => rows.narrow(0, 0, 4), "'image_mixture.1' is [4, 24]" },
            { "a vector of rows", "text_mixture.0", rows => rows.flatten(), "require [6, 32]" },
            { "no rows", "image_mixture.0", _ => null, "no tensor 'image_mixture.0'" },
            { "a row that is not a number", "text_mixture.1", rows => rows * float.NaN, "'text_mixture.1'" },
            { "weights of fewer candidates", "image_weights.2", weights => weights.narrow(0, 0, 2), "'image_weights.2' is [2]" },
            { "no weights", "text_weights.1", _ => null, "no tensor 'text_weights.1'" },
            { "integers as weights", "text_weights.0", weights => weights.to(ScalarType.Int64), "floating-point" },
            { "a weight that is not a number", "image_weights.0", weights => weights * float.NaN, "'image_weights.0'" },
            { "a weight below 0", "image_weights.0", _ => tensor(new[] { -0.5f, 0.5f, 1f }), "A weight of -0.5" },
            { "weights of another sum", "image_weights.0", weights => weights * 1.001f, "sum to 1.001" },
            { "another largest weight", "text_weights.1", weights => weights.flip(0), "text 4 0 | image 4 4 4" },
            { "half as many numbers as bits", "text_weights.1", weights => weights.to(ScalarType.Float16).to(ScalarType.Float64), "" },
        };

    [Theory]
    [MemberData(nameof(ChangedTensors))]
    public void A_zip_with_changed_tensors_is_refused_by_name(string what, string name, Func<Tensor, Tensor?> change, string message)
    {
        byte[] Changed(byte[] content)
        {
            using var scope = NewDisposeScope();
            using var file = SafetensorsFile.FromBytes(content, what);
            return SafetensorsBytes.Write(
                file.Entries.Keys.Select(key => (Key: key, Value: key == name ? change(file.Read(key)) : file.Read(key)))
                    .Where(pair => pair.Value is not null)
                    .Select(pair => KeyValuePair.Create(pair.Key, pair.Value!))
            );
        }
        byte[] zip = With("prompts.safetensors", Changed);
        if (message.Length == 0)
            Load(zip).Dispose();
        else
            RequireRefused(zip, message, "prompts.safetensors");
    }

    public static TheoryData<string, string> ChangedDescriptions =>
        new()
        {
            { """{"candidateLengths": [0]}""", "1 candidates with 0 prompt rows" },
            { """{"candidateLengths": []}""", "0 candidates" },
            { """{"candidateLengths": null}""", "0 candidates" },
            { "{}", "0 candidates" },
            { """{"candidateLengths": [2, 4]}""", "the plain block comes first" },
            { """{"candidateLengths": [0, 4, 2]}""", "must increase" },
            { """{"candidateLengths": [0, -2, 8]}""", "must increase" },
            { """{"candidateLengths": [0, 2, 1023]}""", "1 to 1024 rows together" },
            { """{"candidateLengths": [0, 2147483647, 2147483647]}""", "4294967294 prompt rows" },
            { """{"candidateLengths": [0, 2, 6]}""", "4, which is not a candidate" },
            { """{"candidateLengths": [0, 1, 2, 3, 4]}""", "'text_weights.0' is [3]" },
            { """{"candidateLengths": "all"}""", "cannot be read" },
            { "[0, 2, 4]", "cannot be read" },
            { "null", "no tensor 'text.0'" },
        };

    [Theory]
    [MemberData(nameof(ChangedDescriptions))]
    public void A_zip_with_other_candidates_is_refused(string mixture, string message) =>
        RequireRefused(With("dpl.json", content => WithMixture(content, mixture)), message, "");

    [Fact]
    public void Thousands_of_candidates_are_refused_in_a_sentence()
    {
        string many = string.Join(',', Enumerable.Range(0, 100_000));
        byte[] zip = With("dpl.json", content => WithMixture(content, $$"""{"candidateLengths": [{{many}}]}"""));
        Exception error = LoadError(zip);
        Assert.Contains("100000 candidates with 4999950000 prompt rows", error.Message);
        Assert.InRange(error.Message.Length, 1, 400);
    }

    [Theory]
    [InlineData("prompts.safetensors")]
    [InlineData("prompts")]
    public void A_model_made_of_exported_prompts_predicts_the_same_bits(string name)
    {
        using var drawn = new MixtureModel(_small.Backbone, [0, 1, 3]);
        drawn.Transformer.ExportPrompts().Save(_folder.File(name));
        ExportedPrompts prompts = ExportedPrompts.Load(_folder.File(name));
        Assert.Equal([0, 1, 3], prompts.Mixture!.CandidateLengths);
        Assert.Equal(drawn.Branches.Text.Weights, prompts.Mixture.TextWeights);
        Assert.Equal(drawn.Branches.Image.Weights, prompts.Mixture.ImageWeights);
        Assert.Equal(drawn.Transformer.Configuration, prompts.Configuration);
        using DplTransformer rebuilt = _mlContext.DifferentiablePromptModel(prompts, _small.Backbone, "ImagePath");
        Assert.Equal(Scores(drawn.Transformer), Scores(rebuilt));
        Assert.Equal(drawn.Transformer.Configuration, rebuilt.Configuration);
        using DplTransformer loaded = Load(Saved(rebuilt));
        Assert.Equal(Scores(rebuilt), Scores(loaded));
    }

    public static TheoryData<string, Func<ExportedPrompts, ExportedPrompts>, string> Misfits =>
        new()
        {
            { "a layer too few", p => p with { Text = [.. p.Text.Skip(1)] }, "1 text layers, but weights for 2" },
            { "a row too few", p => p with { Image = [.. p.Image.Skip(1), new float[5, 24]] }, "image layer 2 has 5 rows" },
            { "a layer without rows", p => p with { Text = [null, .. p.Text.Skip(1)] }, "text layer 0 has 0 rows" },
            {
                "other candidates",
                p => p with { Mixture = new([0, 5], p.Mixture!.TextWeights.Halves(), p.Mixture.ImageWeights.Halves()) },
                "5 in total"
            },
        };

    [Theory]
    [MemberData(nameof(Misfits))]
    public void Prompts_that_do_not_fit_their_mixture_are_named(string what, Func<ExportedPrompts, ExportedPrompts> change, string message)
    {
        ExportedPrompts changed = change(_model.Transformer.ExportPrompts());
        foreach (
            Action use in new Action[]
            {
                () => _mlContext.DifferentiablePromptModel(changed, _small.Backbone).Dispose(),
                () => changed.Save(_folder.File("changed.safetensors")),
            }
        )
            Assert.True(Assert.Throws<ArgumentException>(use).Message.Contains(message, StringComparison.Ordinal), what);
    }

    public static TheoryData<string, string, string, string> BrokenFiles =>
        new()
        {
            { "no candidates named", "mixture", "", "but not the text 'mixture'" },
            { "candidates are not a list", "mixture", "[0, 2", "'mixture' cannot be read" },
            { "no candidates", "mixture", "null", "'mixture' cannot be read" },
            { "a sum of rows too high", "mixture", "[0, 1000, 1001]", "1 to 1024 rows" },
            { "other candidates", "mixture", "[0, 1, 2]", "asks for 3 rows of text_mixture.0" },
            { "fixed lengths beside it", "configuration", "text 1 | image 1", "prompts of a mixture and prompts of fixed lengths" },
        };

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public void Broken_prompt_files_are_named(string what, string name, string text, string message)
    {
        string path = _folder.File("broken.safetensors");
        _model.Transformer.ExportPrompts().Save(path);
        using (var scope = NewDisposeScope())
        {
            Dictionary<string, string> texts;
            Dictionary<string, Tensor> tensors;
            using (var file = SafetensorsFile.Open(path))
            {
                texts = new(file.Metadata) { [name] = text };
                tensors = file.Entries.Keys.ToDictionary(key => key, file.Read);
            }
            if (text.Length == 0)
                texts.Remove(name);
            ArrayFiles.Write(path, tensors, texts);
        }
        InvalidDataException thrown = Assert.Throws<InvalidDataException>(() => ExportedPrompts.Load(path));
        Assert.True(thrown.Message.Contains(message, StringComparison.Ordinal), $"{what}: {thrown.Message}");
        Assert.Contains("broken.safetensors", thrown.Message);
    }

    private float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(_images.Test)).GetColumn<float[]>("Score")];

    private byte[] Saved(DplTransformer transformer)
    {
        using var zip = new MemoryStream();
        _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(_images.Test).Schema, zip);
        return zip.ToArray();
    }

    /// <summary>Returns the model's zip with the content of one entry changed.</summary>
    private byte[] With(string name, Func<byte[], byte[]> change) =>
        ZipBytes.Create(
            ZipBytes
                .Entries(Saved(_model.Transformer))
                .Select(entry => entry.Name.EndsWith(name, StringComparison.Ordinal) ? (entry.Name, change(entry.Content)) : entry)
        );

    private static byte[] WithMixture(byte[] json, string mixture)
    {
        string text = Encoding.UTF8.GetString(json),
            changed = MixtureOfDescription().Replace(text, $"\"mixture\": {mixture}", 1);
        Assert.NotEqual(text, changed);
        return Encoding.UTF8.GetBytes(changed);
    }

    [GeneratedRegex("\"mixture\": \\{[^}]*\\}")]
    private static partial Regex MixtureOfDescription();

    private DplTransformer Load(byte[] zip) => (DplTransformer)_mlContext.Model.Load(new MemoryStream(zip), out _);

    private Exception LoadError(byte[] zip)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => Load(zip));
        while (error is TargetInvocationException { InnerException: { } inner })
            error = inner;
        return error;
    }

    private void RequireRefused(byte[] zip, string message, string entry)
    {
        InvalidDataException error = Assert.IsType<InvalidDataException>(LoadError(zip));
        Assert.Contains(message, error.Message);
        Assert.Contains(entry, error.Message);
    }
}

/// <summary>Equal weights of two candidates for every layer.</summary>
file static class TwoCandidates
{
    public static IReadOnlyList<IReadOnlyList<float>> Halves(this IReadOnlyList<IReadOnlyList<float>> layers) =>
        [.. layers.Select(_ => (IReadOnlyList<float>)[0.5f, 0.5f])];
}
