using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Methods;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Methods on CLIP's image features, which leave its towers unchanged.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class FeatureMethodsTests(DrawnData data)
{
    private static readonly string[] Classes = ["black", "blue", "green", "orange", "purple", "red", "white", "yellow"];
    private static readonly int Width = ClipBackbone.TinyDrawn.Config.EmbeddingWidth;

    [Theory]
    [InlineData("linear-probe")]
    [InlineData("linear-probe refit")]
    [InlineData("nearest-mean")]
    [InlineData("tip-adapter")]
    [InlineData("tip-adapter templates=imagenet-80")]
    [InlineData("tip-adapter-f")]
    [InlineData("tip-adapter-f epochs=100 templates=eurosat")]
    public void All_words_are_read_and_fit_the_CLIP(string text)
    {
        IStudyMethod method = StudyMethods.Parse(text);
        method.Check(ClipBackbone.TinyDrawn);
        Assert.True(method.Learns);
        Assert.False(method.KnowsNewClasses);
    }

    [Theory]
    [InlineData("linear-probe:1", "linear-probe:1")]
    [InlineData("linear-probe steps=4", "steps=4")]
    [InlineData("nearest-mean refit", "refit")]
    [InlineData("nearest-mean:2", "nearest-mean:2")]
    [InlineData("tip-adapter epochs=4", "epochs=4")]
    [InlineData("tip-adapter templates=", "templates=")]
    [InlineData("tip-adapter-f epochs=0", "epochs=0")]
    [InlineData("tip-adapter-f epochs=many", "epochs=many")]
    [InlineData("tip-adapter-f templates=nonsense", "templates=nonsense")]
    public void Words_that_a_method_does_not_take_are_told(string text, string word)
    {
        string message = Assert.Throws<FormatException>(() => StudyMethods.Parse(text)).Message;
        Assert.Contains($"'{word}'", message);
        Assert.Contains($"'{text}'", message);
    }

    [Theory]
    [InlineData("linear-probe", "L2 ")]
    [InlineData("linear-probe refit", "L2 ")]
    [InlineData("nearest-mean", null)]
    [InlineData("tip-adapter", "alpha ")]
    [InlineData("tip-adapter-f", "alpha ")]
    public void Equal_tasks_give_equal_bits(string text, string? choice)
    {
        List<string> warnings = [];
        (IReadOnlyList<float[]> Probabilities, IStudyClassifier Classifier) Fitted()
        {
            using IStudyClassifier classifier = StudyMethods.Parse(text).Fit(Task(warnings));
            return (classifier.Probabilities(Rows("test"), CancellationToken.None), classifier);
        }
        (IReadOnlyList<float[]> probabilities, IStudyClassifier made) = Fitted();
        Assert.Equal(probabilities, Fitted().Probabilities);
        Assert.Empty(warnings);
        Assert.All(probabilities, scores => Assert.Equal(1, scores.Sum(), 4));
        Assert.Equal(Classes, made.Classes);
        Assert.InRange(made.ValidationAccuracy!.Value, 0, 1);
        Assert.Equal(choice, made.Choice is null ? null : made.Choice[..choice!.Length]);
        long expected = text.Split(' ')[0] switch
        {
            "linear-probe" => 8 * (Width + 1),
            "nearest-mean" => 8 * Width,
            "tip-adapter-f" => 24 * Width,
            _ => 0,
        };
        Assert.Equal(expected, made.TrainedNumbers);
        Assert.Throws<NotSupportedException>(() => made.WithClasses(["circle"]));
    }

    [Theory]
    [InlineData("linear-probe", "L2 1E+0", "L2 regularisation")]
    [InlineData("tip-adapter", "alpha 1, beta 5.5", "1 and 5.5")]
    [InlineData("tip-adapter-f", "alpha 1, beta 5.5", "1 and 5.5")]
    public void Without_validation_images_a_default_is_taken_and_told(string text, string choice, string warning)
    {
        List<string> warnings = [];
        using IStudyClassifier classifier = StudyMethods.Parse(text).Fit(Task(warnings) with { Validation = [] });
        Assert.Equal(choice, classifier.Choice);
        Assert.Null(classifier.ValidationAccuracy);
        Assert.Contains(warning, Assert.Single(warnings));
    }

    [Theory]
    [InlineData("linear-probe", 0.9)]
    [InlineData("nearest-mean", 0.7)]
    [InlineData("tip-adapter", 0.5)]
    [InlineData("tip-adapter-f epochs=200", 0.9)]
    public void Images_that_were_learnt_from_are_mostly_told_apart(string text, double least)
    {
        ImageRow[] train = Rows("train");
        using IStudyClassifier classifier = StudyMethods.Parse(text).Fit(Task([]) with { Validation = train });
        IReadOnlyList<float[]> probabilities = classifier.Probabilities(train, CancellationToken.None);
        double right = probabilities.Zip(train).Count(pair => Classes[Array.IndexOf(pair.First, pair.First.Max())] == pair.Second.Label);
        Assert.Equal(right / train.Length, classifier.ValidationAccuracy!.Value, 9);
        Assert.True(right / train.Length >= least, $"{right} of {train.Length}");
    }

    [Theory]
    [InlineData("zero-shot", null)]
    [InlineData("zero-shot templates=imagenet-80", "imagenet-80")]
    public void Texts_and_factor_are_those_of_zero_shot_CLIP(string text, string? templates)
    {
        MethodTask task = Task([]) with { Classes = ["black_cat", "blue", "green"], Train = [.. ThreeNamed()], Validation = [] };
        using var features = new ClipFeatures(task, task.CreateContext());
        using IStudyClassifier zeroShot = StudyMethods.Parse(text).Fit(task);
        IReadOnlyList<float[]> expected = zeroShot.Probabilities(Rows("test"), CancellationToken.None);
        float[][] texts = features.Classes(templates is null ? [task.Template] : ClipTemplates.Named(templates));
        // A softmax of the cosines to the texts, times CLIP's logit scale.
        float[][] found = NearestMean.Probabilities(
            features.Images(Rows("test"), CancellationToken.None),
            [.. zeroShot.Classes.Select(name => texts[task.Classes.ToList().IndexOf(name)])],
            features.LogitScale()
        );
        foreach (var (one, other) in expected.Zip(found))
            Assert.All(one.Zip(other), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
    }

    [Fact]
    public void A_cancelled_fit_ends()
    {
        foreach (string text in new[] { "linear-probe", "nearest-mean", "tip-adapter-f" })
        {
            MethodTask task = Task([]) with { CancellationToken = new CancellationToken(canceled: true) };
            Assert.ThrowsAny<OperationCanceledException>(() => StudyMethods.Parse(text).Fit(task));
        }
    }

    [Fact]
    public async Task A_study_runs_them_beside_zero_shot_CLIP()
    {
        string Json(string text) => JsonSerializer.Serialize(text);
        string plan = data.File("features.json"),
            results = data.File("features");
        File.WriteAllText(
            plan,
            $$"""
            { "clip": "tiny-drawn", "threads": 1, "seeds": [1], "shots": [2], "protocol": "few-shot",
              "methods": ["zero-shot", "linear-probe", "nearest-mean", "tip-adapter", "tip-adapter-f"],
              "dataSets": [{ "name": "lighting", "train": {{Json(data.Table("train"))}}, "validation": {{Json(data.Table("validation"))}},
                "test": {{Json(data.Table("test"))}} }] }
            """
        );
        (await ToolProcess.Run("study", plan, "--output", results, "--jobs", "1", "--quiet")).Expect(0);
        foreach (string method in new[] { "linear-probe", "nearest-mean", "tip-adapter", "tip-adapter-f" })
        {
            JsonNode run = JsonNode.Parse(File.ReadAllText(Path.Combine(results, $"few-shot/lighting/2-shot.seed-1.{method}.json")))!;
            Assert.Equal((16, 8), ((int)run["trainImages"]!, (int)run["validationImages"]!));
            Assert.Equal(method == "nearest-mean", run["choice"] is null);
            Assert.Equal(16, (int)run["tests"]![0]!["images"]!);
        }
        string table = (await ToolProcess.Run("study", "table", results)).Expect(0).Output;
        Assert.Contains("tip-adapter-f", table);
    }

    [Fact]
    public async Task A_protocol_that_asks_for_new_classes_refuses_them()
    {
        string plan = data.File("new-classes.json");
        File.WriteAllText(
            plan,
            $$"""
            { "clip": "tiny-drawn", "seeds": [1], "shots": [1], "protocol": "base-to-new", "methods": ["linear-probe"],
              "dataSets": [{ "name": "lighting", "train": {{JsonSerializer.Serialize(data.Table("train"))}},
                "test": {{JsonSerializer.Serialize(data.Table("test"))}} }] }
            """
        );
        string error = (await ToolProcess.Run("study", plan, "--output", data.File("new-classes"))).Expect(2).Error;
        Assert.Contains("'linear-probe'", error);
        Assert.Contains("base-to-new", error);
    }

    private IEnumerable<ImageRow> ThreeNamed() =>
        Rows("train").Take(3).Zip(["black_cat", "blue", "green"], (row, name) => new ImageRow { ImagePath = row.ImagePath, Label = name });

    private MethodTask Task(List<string> warnings) =>
        new(ClipBackbone.TinyDrawn, "a photo of a {}.", Classes, Rows("train"), Rows("validation"), Seed: 1) { Warn = warnings.Add };

    private ImageRow[] Rows(string split) => [.. data.Rows(split).Select(row => new ImageRow { ImagePath = row.Path, Label = row.Label })];
}
