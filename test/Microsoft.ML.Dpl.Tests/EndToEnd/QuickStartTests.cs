using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The QuickStart sample run as a process, on small files.</summary>
public sealed class QuickStartTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private static readonly Dictionary<string, string?> Nothing = new() { ["DPL_CLIP"] = null };

    [Fact]
    public async Task The_whole_job_runs_and_the_model_is_used_by_a_fresh_process()
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        SampleProcess.Outcome outcome = await SampleProcess.Run(
            "QuickStart",
            Nothing,
            "--clip",
            small.Folder,
            "--train",
            Table(folder, "train.tsv", images.Train),
            "--test",
            Table(folder, "test.tsv", images.Test),
            "--output",
            zip,
            "--search-epochs",
            "2",
            "--training-epochs",
            "2",
            "--candidates",
            "0",
            "2",
            "--batch",
            "4"
        );
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        foreach (
            string expected in new[]
            {
                "zero-shot CLIP",
                "uniform, length 2",
                "searched and compared (DPL)",
                "text, confidence",
                "of 15",
                "Saved as",
                "most probable",
            }
        )
            Assert.Contains(expected, outcome.Output);
        Assert.True(File.Exists(zip));
    }

    /// <summary>The process references no type of the library: ML.NET finds the loader through the zip, and the CLIP through the
    /// environment variable.</summary>
    [Fact]
    public async Task A_saved_model_answers_alike_in_another_process()
    {
        using var folder = new TemporaryFolder();
        using var backbone = new TemporaryFolder();
        SmallBackbone.Write(backbone.FullPath, seed: 21);
        var mlContext = new MLContext(1);
        IDataView train = mlContext.Data.LoadFromEnumerable(images.Train);
        var clip = Dpl.Clip.ClipBackbone.Open(backbone.FullPath);
        var trainer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
            clip,
            imageColumnName: "ImagePath",
            configuration: PromptConfiguration.ZeroShot(clip)
        );
        string zip = folder.File("model.zip");
        string[] expected;
        using (DplTransformer transformer = trainer.Fit(train))
        {
            expected = [.. transformer.Transform(mlContext.Data.LoadFromEnumerable(images.Test)).GetColumn<string>("PredictedLabel")];
            mlContext.Model.Save(transformer, train.Schema, zip);
        }
        string moved = Directory.CreateDirectory(folder.File("moved")).FullName;
        foreach (string file in Directory.GetFiles(backbone.FullPath))
            File.Move(file, Path.Combine(moved, Path.GetFileName(file)));

        string[] arguments = ["predict", zip, .. images.Test.Select(p => p.ImagePath)];
        SampleProcess.Outcome missing = await SampleProcess.Run("QuickStart", Nothing, arguments);
        Assert.Equal(1, missing.ExitCode);
        Assert.Contains("DPL_CLIP", missing.Output + missing.Error);
        Assert.DoesNotContain("   at ", missing.Output + missing.Error);

        SampleProcess.Outcome found = await SampleProcess.Run(
            "QuickStart",
            new Dictionary<string, string?> { ["DPL_CLIP"] = $"/nowhere{Path.PathSeparator}{moved}" },
            arguments
        );
        Assert.True(found.ExitCode == 0, found.Output + found.Error);
        string[] rows = [.. found.Output.Split('\n').Where(line => line.Contains(".png", StringComparison.Ordinal))];
        Assert.Equal(expected.Length, rows.Length);
        Assert.All(rows.Zip(expected), pair => Assert.Contains(pair.Second, pair.First));
    }

    [Fact]
    public async Task Wrong_arguments_end_with_one_line_and_no_stack_trace()
    {
        using var folder = new TemporaryFolder();
        string table = Table(folder, "train.tsv", images.Train);
        SampleProcess.Outcome clip = await SampleProcess.Run(
            "QuickStart",
            Nothing,
            "--clip",
            folder.File("no-clip"),
            "--train",
            table,
            "--test",
            table
        );
        Assert.Equal(1, clip.ExitCode);
        Assert.Contains("no-clip", clip.Output.ReplaceLineEndings(""));
        Assert.DoesNotContain("   at ", clip.Output + clip.Error);
        SampleProcess.Outcome missing = await SampleProcess.Run(
            "QuickStart",
            Nothing,
            "--clip",
            small.Folder,
            "--train",
            folder.File("none.tsv"),
            "--test",
            table
        );
        Assert.NotEqual(0, missing.ExitCode);
        Assert.Contains("none.tsv", missing.Output + missing.Error);
    }

    private static string Table(TemporaryFolder folder, string name, IEnumerable<LabelledImage> rows)
    {
        string path = folder.File(name);
        File.WriteAllLines(path, rows.Select(r => $"{r.ImagePath}\t{r.Label}").Prepend("ImagePath\tLabel"));
        return path;
    }
}
