using Drawing;
using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The embedded CLIP has the accuracies that its model card states, and prompts improve on them.</summary>
public class TinyClipTests
{
    [Fact]
    public void It_opens_by_name_and_is_small()
    {
        Assert.Equal(ClipBackbone.Tiny.Sha256, ClipBackbone.Open("tiny").Sha256);
        Assert.Equal(ClipBackbone.TinyDrawn.Sha256, ClipBackbone.Open("tiny-drawn").Sha256);
        foreach (ClipBackbone tiny in new[] { ClipBackbone.Tiny, ClipBackbone.TinyDrawn })
            Assert.InRange(Directory.GetFiles(tiny.Location!).Sum(file => new FileInfo(file).Length), 1, 12 << 20);
    }

    /// <summary>The accuracies on newly drawn images agree with the model card's figures within four standard errors of 400 images, and the
    /// card contains these figures.</summary>
    [Theory]
    [InlineData("colour", 10, 0.984)]
    [InlineData("shape", 24, 0.897)]
    [InlineData("texture", 8, 0.850)]
    public void It_knows_what_its_card_says(string question, int classes, double accuracy)
    {
        string card = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl.TinyClip", "README.md"));
        Assert.Contains(FormattableString.Invariant($"| {question} | {classes} | {accuracy * 100:f1} % |"), card);

        using var folder = new TemporaryFolder();
        var images = new DrawnImages(20_261_123);
        var rows = new List<Row>();
        using var painter = new ScenePainter(48);
        var planes = new byte[painter.Length];
        (Func<Scene, string> name, string template) = question switch
        {
            "colour" => (
                (Func<Scene, string>)(s => Words.Colours[s.Colour][0]),
                Caption.Plain(colour: 0).Replace(Words.Colours[0][0], "{}", StringComparison.Ordinal)
            ),
            "shape" => (s => Words.Shapes[s.Shape][0], Caption.Plain(shape: 0).Replace(Words.Shapes[0][0], "{}", StringComparison.Ordinal)),
            _ => (
                s => Words.Textures[s.Texture][0],
                Caption.Plain(texture: 0).Replace(Words.Textures[0][0], "{}", StringComparison.Ordinal)
            ),
        };
        for (int i = 0; i < 400; i++)
        {
            Scene scene = images[i].Scene;
            painter.Paint(scene, planes);
            var pixels = new byte[4 * 48 * 48];
            for (int p = 0; p < 48 * 48; p++)
                (pixels[4 * p], pixels[4 * p + 1], pixels[4 * p + 2], pixels[4 * p + 3]) = (
                    planes[p],
                    planes[48 * 48 + p],
                    planes[2 * 48 * 48 + p],
                    255
                );
            string path = folder.File($"{i}.png");
            using (MLImage image = MLImage.CreateFromPixels(48, 48, MLPixelFormat.Rgba32, pixels))
                image.Save(path);
            rows.Add(new Row { ImagePath = path, Label = name(scene) });
        }
        double error = Math.Sqrt(accuracy * (1 - accuracy) / rows.Count);
        Assert.InRange(
            Accuracy(new MLContext(1), PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn), template, rows, rows),
            accuracy - 4 * error,
            accuracy + 4 * error
        );
    }

    /// <summary>The accuracy agrees with the model card's figure within four standard errors of 493 photographs.</summary>
    [SkippableFact]
    public void It_knows_photographs_as_its_card_says()
    {
        const double accuracy = 0.647;
        string table = SharedData.Require("data/caltech101/test.tsv"),
            card = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl.TinyClip", "README.md"));
        Assert.Contains(FormattableString.Invariant($"| Caltech101, test, 2,465 | 100 | {accuracy * 100:f1} % |"), card);

        List<Row> all = Read(table);
        Row[] some = [.. all.Where((_, i) => i % 5 == 0)];
        string[] classes = [.. all.Select(row => row.Label).Distinct()];
        var mlContext = new MLContext(1);
        IDataView images = mlContext.Data.LoadFromEnumerable(some);
        using var model = mlContext
            .MulticlassClassification.ClipZeroShot(ClipBackbone.Tiny, classes, ["a photo of a {}."], nameof(Row.ImagePath))
            .Fit(images);
        ReadOnlyMemory<char>[] named =
        [
            .. mlContext
                .Transforms.Conversion.MapKeyToValue("PredictedLabel")
                .Fit(model.Transform(images))
                .Transform(model.Transform(images))
                .GetColumn<ReadOnlyMemory<char>>("PredictedLabel"),
        ];
        int right = some.Zip(named).Count(row => row.Second.Span.SequenceEqual(row.First.Label));
        double error = Math.Sqrt(accuracy * (1 - accuracy) / some.Length);
        Assert.InRange((double)right / some.Length, accuracy - 4 * error, accuracy + 4 * error);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void Searched_prompts_teach_it_colours_under_odd_light()
    {
        using var folder = new TemporaryFolder();
        DrawnTask task = DrawnTasks.Named("lighting");
        DrawnTaskFiles.Write(task, folder.FullPath, trainPerClass: 16, validationPerClass: 4, testPerClass: 40, seed: 7);
        List<Row> train = Read(folder.File("train.tsv")),
            validation = Read(folder.File("validation.tsv")),
            test = Read(folder.File("test.tsv"));
        double Fit(PromptConfiguration? configuration) => Accuracy(new MLContext(1), configuration, task.Template, train, test, validation);

        double zeroShot = Fit(PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn)),
            searched = Fit(null);
        double[] uniform = [.. new[] { 2, 4, 6 }.Select(length => Fit(PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, length)))];
        string all = $"zero-shot {zeroShot:p1}, uniform {string.Join(" / ", uniform.Select(u => $"{u:p1}"))}, searched {searched:p1}";
        Assert.True(searched >= zeroShot + 0.10, all);
        // Two standard errors of the difference of two accuracies on the test images.
        double best = uniform.Max(),
            variance = (best * (1 - best) + searched * (1 - searched)) / test.Count;
        Assert.True(searched >= best - 2 * Math.Sqrt(variance), all);
    }

    private static double Accuracy(
        MLContext mlContext,
        PromptConfiguration? configuration,
        string template,
        List<Row> train,
        List<Row> test,
        List<Row>? validation = null
    )
    {
        var keys = mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(mlContext.Data.LoadFromEnumerable(train));
        using DplTransformer transformer = mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = ClipBackbone.TinyDrawn,
                    ImageColumnName = "ImagePath",
                    Template = template,
                    Configuration = configuration,
                    Validation = { Set = validation is null ? null : keys.Transform(mlContext.Data.LoadFromEnumerable(validation)) },
                    Training = { BatchSize = 16, Epochs = 40 },
                    Search = { Epochs = 40 },
                }
            )
            .Fit(keys.Transform(mlContext.Data.LoadFromEnumerable(train)));
        return mlContext
            .MulticlassClassification.Evaluate(transformer.Transform(keys.Transform(mlContext.Data.LoadFromEnumerable(test))))
            .MicroAccuracy;
    }

    private static List<Row> Read(string table) =>
        [
            .. File.ReadLines(table)
                .Skip(1)
                .Select(line => line.Split('\t'))
                .Select(cells => new Row { ImagePath = Path.Combine(Path.GetDirectoryName(table)!, cells[0]), Label = cells[1] }),
        ];

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
