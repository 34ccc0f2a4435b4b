using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Unusual class names: those that CLIP cannot use are reported before any image is read, all others work.</summary>
public sealed class ClassNameTests : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);
    private readonly ConcurrentQueue<string> _log = new();
    private readonly SmallBackbone _small;
    private readonly ColourImages _images;

    public ClassNameTests(SmallBackbone small, ColourImages images)
    {
        (_small, _images) = (small, images);
        _mlContext.Log += (_, e) => _log.Enqueue(e.Message);
    }

    [Theory]
    [InlineData("light_blue", "light blue", "'light blue', 'light_blue' and cannot tell them apart. CLIP ignores case")]
    [InlineData("Red", "red", "'Red', 'red' and cannot tell them apart")]
    [InlineData("red", "red\r", @"'red', 'red\u000D' and cannot tell them apart")]
    [InlineData("red", "red\u00A0", @"'red', 'red\u00A0' and cannot tell them apart")]
    [InlineData("fish &amp; chips", "fish & chips", "'fish & chips', 'fish &amp; chips' and cannot tell them apart")]
    [InlineData(
        "zero one two three four five six seven eight nine ten",
        "zero one two three four five six seven eight nine eleven",
        "longer than CLIP's 48 tokens and identical up to that point: shorten"
    )]
    [InlineData("__", "red", "The class name '__' leaves nothing")]
    [InlineData("red", "&nbsp;", "The class name '&nbsp;' leaves nothing")]
    public void Names_that_clip_reads_alike_or_not_at_all_are_refused_before_any_image_is_read(string first, string second, string expected)
    {
        LabelledImage[] rows = [.. Rows(first, second, "third"), new LabelledImage { ImagePath = "/missing/a.png", Label = first }];
        Assert.Contains(expected, Assert.Throws<InvalidOperationException>(() => Fit(rows)).Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \t")]
    public void A_row_without_a_name_is_named(string name)
    {
        LabelledImage[] rows = Rows("red", "green", "blue");
        rows[7].Label = name;
        Assert.Contains(
            "Row 7 (counted from 0) has no label in column 'Label'",
            Assert.Throws<InvalidOperationException>(() => Fit(rows)).Message
        );
    }

    [Theory]
    [InlineData("猫", "犬", "小鳥")]
    [InlineData("кошка", "собака", "птица")]
    [InlineData("🐈", "🐕", "🐦")]
    [InlineData("قطة", "כלב", "ネコ")]
    [InlineData("{}", "{0}", "say {} twice")]
    [InlineData("a\"b", "c\\d", "e'f<g>")]
    public void Names_in_any_script_are_learnt_saved_and_loaded(params string[] names)
    {
        using DplTransformer trained = Fit(Rows(names[0], names[1], names[2]));
        Assert.Equal(names.Order(StringComparer.Ordinal), trained.ClassNames);
        Assert.DoesNotContain(_log, line =>
            line.Contains("control characters", StringComparison.Ordinal) || line.Contains("longer than", StringComparison.Ordinal)
        );
        (float[] Score, string Predicted)[] before = Answers(trained);
        Assert.All(before, answer => Assert.Equal(1, answer.Score.Sum(), 1e-4));
        Assert.All(before, answer => Assert.Contains(answer.Predicted, names));
        using var stream = new MemoryStream();
        _mlContext.Model.Save(trained, _mlContext.Data.LoadFromEnumerable(_images.Test).Schema, stream);
        stream.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Knowing(_small.Backbone).Model.Load(stream, out _);
        Assert.Equal(trained.ClassNames, loaded.ClassNames);
        Assert.Equal(before, Answers(loaded), (x, y) => x.Predicted == y.Predicted && x.Score.SequenceEqual(y.Score));
    }

    [Fact]
    public void Control_characters_and_cut_names_are_warned_of()
    {
        const string endless = "a name that goes on for longer than any context of any CLIP has ever been";
        using DplTransformer trained = Fit(Rows("bell\u0007", endless, "blue"));
        Assert.Equal(3, trained.ClassNames.Count);
        Assert.Contains(_log, line => line.Contains(@"The class name 'bell\u0007' contains control characters", StringComparison.Ordinal));
        Assert.Contains(_log, line =>
            line.Contains($"The text of class '{endless}' is longer than CLIP's 48 tokens", StringComparison.Ordinal)
        );
        Assert.Contains("control characters", Assert.Throws<ArgumentException>(() => trained.WithClasses(["a", "b\u0001"])).Message);
    }

    [Fact]
    public void Braces_in_a_name_are_text()
    {
        var classes = new LabelClasses(LabelKind.Text, ["{}", "a_{}_b"], TextDataViewType.Instance, "test");
        int[][] tokens = ClassTokens.Create(classes, "see {}!", _small.Backbone, warning => Assert.Fail(warning));
        ClipTokenizer tokenizer = _small.Backbone.CreateTokenizer();
        Assert.Equal(tokenizer.Encode("see {}!", 48, out _), tokens[0]);
        Assert.Equal(tokenizer.Encode("see a {} b!", 48, out _), tokens[1]);
    }

    private LabelledImage[] Rows(string red, string green, string blue) =>
        [
            .. _images.Train.Select(p => new LabelledImage
            {
                ImagePath = p.ImagePath,
                Label = p.Label switch
                {
                    "red" => red,
                    "green" => green,
                    _ => blue,
                },
            }),
        ];

    private DplTransformer Fit(IReadOnlyList<LabelledImage> rows) =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = _small.Backbone,
                    ImageColumnName = "ImagePath",
                    Configuration = PromptConfiguration.Uniform(_small.Backbone, 1),
                    Training = { Epochs = 1, BatchSize = 9 },
                }
            )
            .Fit(_mlContext.Data.LoadFromEnumerable(rows));

    private (float[] Score, string Predicted)[] Answers(DplTransformer transformer)
    {
        IDataView scored = transformer.Transform(_mlContext.Data.LoadFromEnumerable(_images.Test));
        return [.. scored.GetColumn<float[]>("Score").Zip(scored.GetColumn<string>("PredictedLabel"))];
    }
}
