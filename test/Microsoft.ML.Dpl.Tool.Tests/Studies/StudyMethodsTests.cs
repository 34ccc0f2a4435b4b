using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Methods;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Parsing of methods, and what they train.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class StudyMethodsTests(DrawnData data)
{
    private static readonly string[] Classes = ["black", "blue", "green", "orange", "purple", "red", "white", "yellow"];

    [Theory]
    [InlineData("")]
    [InlineData("magic")]
    [InlineData("uniform")]
    [InlineData("uniform:-1")]
    [InlineData("uniform:1000000")]
    [InlineData("search:4")]
    [InlineData("random:")]
    [InlineData("random:4,x")]
    [InlineData("default batch")]
    [InlineData("default batch=")]
    [InlineData("default batch=many")]
    [InlineData("default average=mean")]
    [InlineData("zero-shot templates=nonsense")]
    public void What_is_no_method_is_told_with_what_can_be_given(string text)
    {
        string message = Assert.Throws<FormatException>(() => StudyMethods.Parse(text)).Message;
        Assert.Contains($"'{text}'", message);
    }

    [Theory]
    [InlineData("zero-shot", false)]
    [InlineData("zero-shot templates=imagenet-80", false)]
    [InlineData("zero-shot residual=0", false)]
    [InlineData("zero-shot residual=1", true)]
    [InlineData("zero-shot context=4", true)]
    [InlineData("zero-shot words=a_photo_of_a", true)]
    [InlineData("uniform:0 context=4", true)]
    [InlineData("uniform:4 refit", true)]
    [InlineData("uniform:4 paper batch=16 steps=400 crop=0.5", true)]
    [InlineData("search coupled context=4 words=a_photo_of_a kgcoop=8 promptsrc average=gaussian distillation=1", true)]
    [InlineData("search mixture candidates=0,2,4 search-epochs=3 epochs=4", true)]
    [InlineData("search search-refit", true)]
    [InlineData("default prograd average=last", true)]
    [InlineData("text:4", true)]
    [InlineData("image:4", true)]
    [InlineData("random", true)]
    public void All_words_are_read_and_fit_the_CLIP(string text, bool learns)
    {
        IStudyMethod method = StudyMethods.Parse(text);
        method.Check(ClipBackbone.TinyDrawn);
        Assert.Equal(learns, method.Learns);
        Assert.True(method.KnowsNewClasses);
    }

    [Fact]
    public void What_does_not_fit_the_CLIP_is_known_before_the_fit() =>
        Assert.ThrowsAny<ArgumentException>(() => StudyMethods.Parse("uniform:4 batch=0").Check(ClipBackbone.TinyDrawn));

    [Theory]
    [InlineData("text:3", "text 3 3 3 | image 0 0 0 0 0")]
    [InlineData("image:2", "text 0 0 0 | image 2 2 2 2 2")]
    [InlineData("uniform:1", "text 1 1 1 | image 1 1 1 1 1")]
    public void Lengths_of_one_tower_leave_the_other_without(string text, string expected) => Assert.Equal(expected, Lengths(text, 1));

    [Fact]
    public void Random_lengths_come_from_the_seed_alone()
    {
        string[] drawn = [.. Enumerable.Range(1, 20).Select(seed => Lengths("random:0,3,9", seed))];
        Assert.Equal(drawn, Enumerable.Range(1, 20).Select(seed => Lengths("random:0,3,9", seed)));
        Assert.True(drawn.Distinct().Count() > 15);
        Assert.All(drawn, text => Assert.All(text.Split(' ').Where(word => char.IsDigit(word[0])), word => Assert.Contains(word, "0 3 9")));
    }

    [Fact]
    public void Trained_numbers_are_counted()
    {
        long Trained(string text)
        {
            using IStudyClassifier classifier = StudyMethods.Parse(text).Fit(Task());
            IReadOnlyList<float[]> probabilities = classifier.Probabilities(Rows("test"), CancellationToken.None);
            Assert.All(probabilities, scores => Assert.Equal(1, scores.Sum(), 4));
            Assert.Equal(Classes, classifier.Classes.Order(StringComparer.Ordinal));
            return classifier.TrainedNumbers;
        }
        (int text, int image) = (ClipBackbone.TinyDrawn.Config.Text.Width, ClipBackbone.TinyDrawn.Config.Image.Width);
        Assert.Equal(0, Trained("zero-shot"));
        long residual = Classes.Length * ClipBackbone.TinyDrawn.Config.EmbeddingWidth;
        // Three text layers, five image layers, the classes' residual, and the logit scale.
        Assert.Equal(2 * (3 * text + 5 * image) + residual + 1, Trained("uniform:2 refit steps=2"));
        Assert.Equal(2 * (3 * text + 5 * image) + 1, Trained("uniform:2 refit steps=2 residual=0"));
        Assert.Equal(residual + 1, Trained("zero-shot refit steps=2 residual=1"));
        // The words are four tokens, which the context begins with.
        Assert.Equal(4 * text + 1, Trained("zero-shot refit steps=2 words=a_photo_of_a"));
        // Coupled prompts have maps for the three layers that both towers have; the deeper image layers have prompts of their own.
        Assert.Equal(2 * 3 * text + 3 * image * (text + 1) + 2 * 2 * image + 1, Trained("uniform:2 coupled refit steps=2 residual=0"));
    }

    [Fact]
    public void Other_classes_can_be_asked_for()
    {
        using IStudyClassifier classifier = StudyMethods.Parse("uniform:1 refit steps=1").Fit(Task());
        using IStudyClassifier others = classifier.WithClasses(["circle", "square"]);
        Assert.Equal(["circle", "square"], others.Classes);
        Assert.Equal(2, others.Probabilities(Rows("test").Take(1).ToArray(), CancellationToken.None)[0].Length);
    }

    private static string Lengths(string text, int seed) =>
        PromptLengths.Read(new MethodText(text))(ClipBackbone.TinyDrawn, seed)!.ToString();

    private MethodTask Task() => new(ClipBackbone.TinyDrawn, "a photo of a {}.", Classes, Rows("train"), Rows("validation"), Seed: 1);

    private ImageRow[] Rows(string split) => [.. data.Rows(split).Select(row => new ImageRow { ImagePath = row.Path, Label = row.Label })];
}
