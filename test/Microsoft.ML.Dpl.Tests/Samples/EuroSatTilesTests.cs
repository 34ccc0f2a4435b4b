using System.Text.RegularExpressions;
using EuroSat;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The satellite tiles in samples/data/eurosat: their contents, and fits on photographs.</summary>
public sealed partial class EuroSatTilesTests
{
    private const int TrainPerClass = 20,
        TestPerClass = 10,
        LargestTotal = 1_200_000;

    private static readonly Dictionary<string, string?> Nothing = [];

    private static readonly string Source = Path.Combine(SharedData.RepositoryRoot, "samples", "data", "eurosat");

    [Fact]
    public void Each_of_ten_classes_has_twenty_training_and_ten_test_tiles_in_a_folder_of_its_name()
    {
        string[] classes = [.. Directory.GetDirectories(Source).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        Assert.Equal(10, classes.Length);
        foreach (var (tiles, perClass) in new[] { (EuroSatTiles.Train, TrainPerClass), (EuroSatTiles.Test, TestPerClass) })
        {
            Assert.Equal(classes.Select(name => (name, perClass)), tiles.GroupBy(FolderName).Select(group => (group.Key, group.Count())));
            Assert.All(tiles, tile => Assert.Equal(FolderName(tile), new FileInfo(tile.ImagePath).Directory!.Name));
        }
        // The tables name every file once, so that no test tile is a training tile.
        Assert.Equal(
            Files("*.jpg"),
            All.Select(tile => Path.GetRelativePath(EuroSatTiles.Folder, tile.ImagePath)).Order(StringComparer.Ordinal)
        );

        static string FolderName(EuroSatTile tile) => tile.Label.Replace(' ', '_');
    }

    [Fact]
    public void Every_tile_decodes_to_64_by_64_pixels_and_all_together_stay_small()
    {
        Assert.All(All, tile =>
        {
            RgbImage image = ImageDecoder.FromFile(tile.ImagePath);
            Assert.Equal((64, 64), (image.Width, image.Height));
        });
        Assert.InRange(Files("*").Sum(file => new FileInfo(Path.Combine(Source, file)).Length), 1, LargestTotal);
    }

    [Fact]
    public void Licence_and_source_are_told_beside_the_tiles_and_in_the_notices()
    {
        string readme = File.ReadAllText(Path.Combine(Source, "README.md"));
        string notices = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "THIRD-PARTY-NOTICES.md"));
        Assert.All(["Copyright (c) 2023 Patrick Helber", "modified Copernicus Sentinel data"], expected =>
        {
            Assert.Contains(expected, readme);
            Assert.Contains(expected, notices);
        });
        Assert.Contains("Permission is hereby granted", readme);
        Assert.Contains("samples/data/eurosat", notices);
    }

    /// <summary>CLIP truncates texts to its context length, so a longer text would lose the end of a class name.</summary>
    [Fact]
    public void Every_class_in_the_template_fits_into_the_context_of_the_embedded_CLIP()
    {
        var warnings = new List<string>();
        var mlContext = new MLContext(1);
        mlContext.Log += (_, e) =>
        {
            if (e.Message.Contains("not read", StringComparison.Ordinal))
                warnings.Add(e.Message);
        };
        Fit(mlContext, PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn), EuroSatTiles.Template, epochs: 1).Dispose();
        Assert.Empty(warnings);
        // CoOp's own template fits only into the context of the CLIP that was trained on photographs.
        const string centered = "a centered satellite photo of {}.";
        string[] classes = [.. EuroSatTiles.Train.Select(tile => tile.Label).Distinct()];
        mlContext
            .MulticlassClassification.ClipZeroShot(ClipBackbone.Tiny, classes, [centered], nameof(EuroSatTile.ImagePath))
            .Fit(mlContext.Data.LoadFromEnumerable(EuroSatTiles.Test))
            .Dispose();
        Assert.Empty(warnings);
        Fit(mlContext, PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn), centered, epochs: 1).Dispose();
        Assert.Contains("herbaceous vegetation land", Assert.Single(warnings));
    }

    [Fact]
    public void Prompts_learn_photographs_through_the_pipeline()
    {
        var mlContext = new MLContext(1);
        using DplTransformer zeroShot = Fit(
            mlContext,
            PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn),
            EuroSatTiles.Template,
            epochs: 1
        );
        var searched = PromptConfiguration.Parse("text 6 0 2 | image 6 4 0 6 0");
        using DplTransformer trained = Fit(mlContext, searched, EuroSatTiles.Template, epochs: 12);
        MulticlassClassificationMetrics before = Evaluate(mlContext, zeroShot),
            after = Evaluate(mlContext, trained);
        Assert.Equal(after.MicroAccuracy, after.MacroAccuracy, 1e-9);
        // There are 100 test tiles. Chance is 1 in 10; guessing has a log-loss of ln 10.
        Assert.InRange(after.MicroAccuracy, 0.2, 1);
        Assert.True(after.LogLoss < before.LogLoss, $"log-loss {before.LogLoss:f3} before training, {after.LogLoss:f3} after");
    }

    [Fact]
    [Trait("Category", "Slow")]
    public async Task QuickStart_runs_on_the_tiles_from_any_folder()
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        SampleProcess.Outcome outcome = await SampleProcess.Run(
            "QuickStart",
            Nothing,
            "--task",
            "eurosat",
            "--output",
            zip,
            "--search-epochs",
            "2",
            "--training-epochs",
            "2",
            "--candidates",
            "0",
            "2"
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        Assert.All(
            [
                "200 training images of 10 classes",
                "100 test images",
                "zero-shot CLIP",
                "uniform, length 2",
                "searched and compared (DPL)",
                "most probable",
            ],
            expected => Assert.Contains(expected, outcome.Output)
        );
        Assert.Equal(zip, Assert.Single(Directory.GetFileSystemEntries(folder.FullPath)));
    }

    [Fact]
    [Trait("Category", "Slow")]
    public async Task ModelBuilder_trains_on_the_tiles_where_no_folder_is_given_and_classifies_one()
    {
        using var folder = new TemporaryFolder();
        SampleProcess.Outcome outcome = await SampleProcess.Run(
            "ModelBuilder",
            Nothing,
            "train",
            "--output",
            folder.File("model.zip"),
            "--search-epochs",
            "0",
            "--training-epochs",
            "2"
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        Assert.Contains("Accuracy on ", outcome.Output);
        string[] answered = [.. ClassLine().Matches(outcome.Output).Select(match => match.Groups[1].Value.TrimEnd())];
        Assert.Equal(EuroSatTiles.Train.Select(tile => tile.Label).Distinct(), answered.Order(StringComparer.Ordinal));

        SampleProcess.Outcome alone = await SampleProcess.Run("ModelBuilder", Nothing, "train", "--test", EuroSatTiles.Folder);
        Assert.Equal(1, alone.ExitCode);
        Assert.Contains("--test belongs to a folder", Assert.Single(alone.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
    }

    private static IEnumerable<EuroSatTile> All => EuroSatTiles.Train.Concat(EuroSatTiles.Test);

    private static IOrderedEnumerable<string> Files(string pattern) =>
        Directory
            .GetFiles(Source, pattern, SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Source, path))
            .Order(StringComparer.Ordinal);

    private static IDataView Keyed(MLContext mlContext, IEnumerable<EuroSatTile> tiles) =>
        mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Fit(mlContext.Data.LoadFromEnumerable(EuroSatTiles.Train))
            .Transform(mlContext.Data.LoadFromEnumerable(tiles));

    private static DplTransformer Fit(MLContext mlContext, PromptConfiguration configuration, string template, int epochs) =>
        mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = ClipBackbone.TinyDrawn,
                    ImageColumnName = nameof(EuroSatTile.ImagePath),
                    Template = template,
                    Configuration = configuration,
                    Training = { BatchSize = 16, Epochs = epochs },
                    Validation = { RowsPerClass = DplTrainer.ValidationOptions.DefaultRowsPerClass },
                }
            )
            .Fit(Keyed(mlContext, EuroSatTiles.Train));

    private static MulticlassClassificationMetrics Evaluate(MLContext mlContext, DplTransformer model) =>
        mlContext.MulticlassClassification.Evaluate(model.Transform(Keyed(mlContext, EuroSatTiles.Test)));

    [GeneratedRegex(@"^  \d\.\d+  (.+)$", RegexOptions.Multiline)]
    private static partial Regex ClassLine();
}
