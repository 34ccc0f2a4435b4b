using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A genuinely trained CLIP on real photographs.</summary>
public class SurrogateClipTests
{
    [SkippableFact]
    public void Zero_shot_gets_as_many_test_images_right_as_the_reference_on_Caltech101()
    {
        string table = SharedData.Require("data/caltech101/test.tsv"),
            folder = Path.GetDirectoryName(table)!;
        (string Path, string Label)[] rows =
        [
            .. File.ReadLines(table).Skip(1).Select(line => line.Split('\t')).Select(cells => (Path.Combine(folder, cells[0]), cells[1])),
        ];
        Assert.Equal(2465, rows.Length);
        Assert.InRange(ZeroShotRight(rows), 1025 - 5, 1025 + 5);
    }

    [SkippableFact]
    public void Zero_shot_gets_as_many_test_images_right_as_the_reference_on_flowers()
    {
        string folder = SharedData.Require("data/flowers");
        (string Path, string Label)[] rows =
        [
            .. Directory
                .GetFiles(folder, "*.jpg", SearchOption.AllDirectories)
                .Order()
                .Select(path => (path, new DirectoryInfo(path).Parent!.Name)),
        ];
        Assert.Equal(200, rows.Length);
        Assert.InRange(ZeroShotRight(rows), 21 - 5, 21 + 5);
    }

    /// <summary>Trains on 16 images of each of 5 flowers that the CLIP has never seen; chance level is 20 %.</summary>
    [SkippableFact]
    public void Searched_prompts_teach_it_flowers()
    {
        string folder = SharedData.Require("data/flowers");
        var byClass = Directory
            .GetDirectories(folder)
            .Order()
            .Select(d =>
                Directory.GetFiles(d, "*.jpg").Order().Select(path => new Row { ImagePath = path, Label = Path.GetFileName(d) }).ToArray()
            )
            .ToArray();
        var mlContext = new MLContext(1);
        IDataView train = mlContext.Data.LoadFromEnumerable(byClass.SelectMany(c => c.Take(16))),
            test = mlContext.Data.LoadFromEnumerable(byClass.SelectMany(c => c.Skip(16)));
        var options = new DplTrainer.Options
        {
            Backbone = ClipBackbone.Open(SharedData.Require("surrogate-clip")),
            ImageColumnName = "ImagePath",
            Training =
            {
                BatchSize = 12,
                Epochs = 30,
                LearningRate = 0.01,
            },
            Search = { Epochs = 10 },
        };
        using DplTransformer transformer = (
            mlContext
                .Transforms.Conversion.MapValueToKey("Label")
                .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options))
        )
            .Fit(train)
            .LastTransformer;
        ITransformer toKey = mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(train);
        double accuracy = mlContext.MulticlassClassification.Evaluate(transformer.Transform(toKey.Transform(test))).MicroAccuracy;
        Assert.True(accuracy > 0.40, $"accuracy {accuracy:p1}");
    }

    private static int ZeroShotRight((string Path, string Label)[] rows)
    {
        var mlContext = new MLContext(1);
        ClipBackbone backbone = ClipBackbone.Open(SharedData.Require("surrogate-clip"));
        IDataView data = mlContext.Data.LoadFromEnumerable(rows.Select(r => new Row { ImagePath = r.Path, Label = r.Label }));
        using DplTransformer transformer = mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                backbone,
                imageColumnName: "ImagePath",
                configuration: PromptConfiguration.ZeroShot(backbone)
            )
            .Fit(data);
        return transformer.Transform(data).GetColumn<string>("PredictedLabel").Zip(rows).Count(pair => pair.First == pair.Second.Label);
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
