using System.Drawing;
using Drawing;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Heat maps of the embedded CLIP for drawn images whose object's position is known.</summary>
public sealed class ExplanationTests(ExplanationTests.Colours colours) : IClassFixture<ExplanationTests.Colours>
{
    private const int Side = 48;

    private DplTransformer Transformer => colours.Transformer;

    /// <summary>The same object in all four corners: by chance, the mean relevance of the cells under it would exceed that of the others in
    /// half of the images.</summary>
    [Fact]
    public void Relevance_follows_the_object()
    {
        int above = 0,
            highest = 0,
            all = 0;
        foreach (Scene scene in Scenes())
        {
            using MLImage image = Paint(scene);
            ClassExplanation explanation = Transformer.Explain(image, Words.Colours[scene.Colour][0]);
            bool[] covered = [.. Enumerable.Range(0, explanation.Relevance.Count).Select(cell => Covers(scene, explanation, cell))];
            double Mean(bool on) => explanation.Relevance.Where((_, cell) => covered[cell] == on).Average();
            all++;
            if (Mean(true) > Mean(false))
                above++;
            if (covered[explanation.Relevance.ToList().IndexOf(1)])
                highest++;
        }
        // By chance 60 of 80 has a probability of about 1 in 100,000; the object covers a fifth of the cells.
        Assert.Equal(80, all);
        Assert.True(above >= 60 && highest >= 50, $"above the background in {above} of {all}, the highest cell on the object in {highest}");
    }

    [Fact]
    public void Values_are_in_range_and_equal_bits_come_again()
    {
        using MLImage image = Paint(Scenes().First());
        ClassExplanation first = Transformer.Explain(image),
            second = Transformer.Explain(image);
        Assert.Equal((6, 6, 36), (first.Rows, first.Columns, first.Relevance.Count));
        Assert.Equal((0, 1), (first.Relevance.Min(), first.Relevance.Max()));
        Assert.Equal(new RectangleF(0, 0, Side, Side), first.SeenPart);
        Assert.Equal(first.Relevance, second.Relevance);
        Assert.Equal(first.Probability, second.Probability);
        var others = new ClassExplanation[8];
        Parallel.For(0, others.Length, i => others[i] = Transformer.Explain(image));
        Assert.All(others, other => Assert.Equal(first.Relevance, other.Relevance));
    }

    [Fact]
    public void Without_a_name_the_predicted_class_is_explained_with_its_score()
    {
        foreach (Scene scene in Scenes().Take(8))
        {
            using MLImage image = Paint(scene);
            float[] scores = colours.Score(image);
            ClassExplanation predicted = Transformer.Explain(image);
            Assert.Equal(Transformer.ClassNames[Array.IndexOf(scores, scores.Max())], predicted.ClassName);
            foreach (string name in Transformer.ClassNames)
                Assert.Equal(scores[Transformer.ClassNames.ToList().IndexOf(name)], Transformer.Explain(image, name).Probability, 1e-5f);
        }
    }

    [Fact]
    public void Another_class_has_another_map()
    {
        using MLImage image = Paint(Scenes().First());
        Assert.NotEqual(Transformer.Explain(image, "red").Relevance, Transformer.Explain(image, "white").Relevance);
    }

    [Fact]
    public void An_unknown_class_is_refused_with_the_list()
    {
        using MLImage image = Paint(Scenes().First());
        string message = Assert.Throws<ArgumentException>(() => Transformer.Explain(image, "beige")).Message;
        Assert.Contains("'beige'", message);
        Assert.All(Transformer.ClassNames, name => Assert.Contains($"'{name}'", message));
    }

    [Theory]
    [InlineData(100, 60, 20, 0, 60, 60)]
    [InlineData(60, 100, 0, 20, 60, 60)]
    [InlineData(480, 48, 216, 0, 48, 48)]
    public void The_middle_square_is_what_CLIP_sees_and_only_it_is_drawn_over(int width, int height, int x, int y, int across, int down)
    {
        var pixels = new byte[4 * width * height];
        Array.Fill(pixels, (byte)255);
        for (int p = 0; p < pixels.Length; p += 4)
            pixels[p] = (byte)(p / 4 % width);
        using MLImage image = MLImage.CreateFromPixels(width, height, MLPixelFormat.Bgra32, pixels);
        image.Tag = "here";
        ClassExplanation explanation = Transformer.Explain(image);
        Assert.Equal(new RectangleF(x, y, across, down), explanation.SeenPart);
        using MLImage drawn = explanation.Draw(image, 1),
            half = explanation.Draw(image),
            none = explanation.Draw(image, 0);
        Assert.Equal(pixels, image.Pixels.ToArray());
        Assert.Equal(pixels, none.Pixels.ToArray());
        Assert.Equal((width, height, MLPixelFormat.Bgra32, "here"), (drawn.Width, drawn.Height, drawn.PixelFormat, drawn.Tag));
        for (int p = 0; p < width * height; p++)
        {
            bool inside = explanation.SeenPart.Contains(p % width, p / width);
            ReadOnlySpan<byte> before = pixels.AsSpan(4 * p, 4),
                all = drawn.Pixels.Slice(4 * p, 4),
                some = half.Pixels.Slice(4 * p, 4);
            // The image's red channel is 255 everywhere, which no colour of the map reaches.
            Assert.Equal(inside, all[2] != before[2] && all[1] != before[1]);
            for (int channel = 0; channel < 4; channel++)
                Assert.InRange(some[channel], (before[channel] + all[channel]) / 2 - 1, (before[channel] + all[channel]) / 2 + 1);
        }
    }

    [Fact]
    public void What_cannot_be_drawn_on_is_refused()
    {
        using MLImage image = Paint(Scenes().First());
        ClassExplanation explanation = Transformer.Explain(image);
        using MLImage other = MLImage.CreateFromPixels(2, 1, MLPixelFormat.Rgba32, new byte[8]);
        Assert.Contains("2 × 1", Assert.Throws<ArgumentException>(() => explanation.Draw(other)).Message);
        foreach (double opacity in new[] { -0.1, 1.1, double.NaN })
            Assert.Throws<ArgumentOutOfRangeException>(() => explanation.Draw(image, opacity));
    }

    private static IEnumerable<Scene> Scenes()
    {
        for (int i = 0; i < 20; i++)
            foreach (float x in new[] { 0.27f, 0.73f })
            foreach (float y in new[] { 0.27f, 0.73f })
                yield return new Scene(
                    Shape: i % 6,
                    Colour: i % 7,
                    Texture: 0,
                    Size: 1,
                    Background: i % 2 == 0 ? 9 : 8,
                    Light: 1,
                    BackgroundKind: BackgroundKind.Plain,
                    Radius: 0.25f,
                    CentreX: x,
                    CentreY: y,
                    Rotation: 0,
                    Stretch: 1,
                    Variation: i
                );
    }

    private static bool Covers(Scene scene, ClassExplanation explanation, int cell)
    {
        double x = (cell % explanation.Columns + 0.5) / explanation.Columns - scene.CentreX,
            y = (cell / explanation.Columns + 0.5) / explanation.Rows - scene.CentreY;
        return x * x + y * y <= scene.Radius * scene.Radius;
    }

    private static MLImage Paint(Scene scene)
    {
        using var painter = new ScenePainter(Side);
        var planes = new byte[painter.Length];
        painter.Paint(scene, planes);
        var pixels = new byte[4 * Side * Side];
        for (int p = 0; p < Side * Side; p++)
            (pixels[4 * p], pixels[4 * p + 1], pixels[4 * p + 2], pixels[4 * p + 3]) = (
                planes[p],
                planes[Side * Side + p],
                planes[2 * Side * Side + p],
                255
            );
        return MLImage.CreateFromPixels(Side, Side, MLPixelFormat.Rgba32, pixels);
    }

    /// <summary>A zero-shot classifier of the ten colours.</summary>
    public sealed class Colours : IDisposable
    {
        public Colours()
        {
            var mlContext = new MLContext(1);
            Transformer = mlContext
                .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    new DplTrainer.Options
                    {
                        Backbone = ClipBackbone.TinyDrawn,
                        ImageColumnName = "Path",
                        Template = Caption.Plain(colour: 0).Replace(Words.Colours[0][0], "{}", StringComparison.Ordinal),
                        Configuration = PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn),
                    }
                )
                .Fit(mlContext.Data.LoadFromEnumerable(Words.Colours.Select(names => new Row { Label = names[0] })));
        }

        public DplTransformer Transformer { get; }

        public float[] Score(MLImage image)
        {
            using var folder = new TemporaryFolder();
            string path = folder.File("image.png");
            image.Save(path);
            return Transformer
                .Transform(new MLContext().Data.LoadFromEnumerable([new Row { Path = path }]))
                .GetColumn<float[]>("Score")
                .Single();
        }

        public void Dispose() => Transformer.Dispose();

        private sealed class Row
        {
            public string Path { get; set; } = "";

            public string Label { get; set; } = "";
        }
    }
}
