using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>dpl fit, search, train and compare as processes.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class FitTests(DrawnData data)
{
    [Fact]
    public async Task Fit_writes_the_model_and_everything_about_the_run()
    {
        ToolProcess.Outcome fit = (await data.Fit()).Expect(0);
        Assert.Contains("Test accuracy:", fit.Output);
        Assert.Contains("fit, search: epoch 1/1", fit.Error);
        Assert.Contains("fit, training: epoch 1/1", fit.Error);
        Assert.DoesNotContain('\u001b', fit.Output + fit.Error);
        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(data.Model, ".results.json"));
        Assert.Equal(data.Rows("test").Count, results.Test!.Predictions.Count);
        Assert.Equal(
            results.Test.Predictions.Count(p => p.True == p.Predicted) / (double)results.Test.Predictions.Count,
            results.Test.Accuracy.Accuracy,
            9
        );
        Assert.Single(results.Search!.Epochs);
        Assert.Single(results.Training!.Epochs);
        // Each finalist has one epoch; the finalist that is trained may be any of them.
        Assert.Equal(results.Finalists.Count, results.FinalistEpochs.Count);
        Assert.Single(results.Finalists, finalist => finalist.WasTrained);
        Assert.Equal(
            fit.ErrorLines.Where(line => line.StartsWith("Warning: ", StringComparison.Ordinal)).Select(line => line["Warning: ".Length..]),
            results.Warnings
        );
        Assert.Equal(data.Model, results.ModelPath);
        Assert.Contains("--seed 0", results.Asked.CommandLine);
        Assert.Equal(["Search", "Comparison", "Training", "Test"], results.Stages.Select(stage => stage.Name));
        ComparisonRow zeroShot = Assert.Single(results.Comparison);
        Assert.Equal("zero-shot", zeroShot.Name);
        Assert.All(zeroShot.Configuration!.Text.Concat(zeroShot.Configuration.Image), length => Assert.Equal(0, length));
        Assert.Contains("zero-shot:", fit.Output);
        string page = File.ReadAllText(Path.ChangeExtension(data.Model, ".report.html"));
        Assert.Contains("zero-shot", page);
        Assert.Contains("<svg", page);
        Assert.All(results.Data!.Classes, c => Assert.Equal([3, 2], c.Counts));
        Assert.DoesNotContain(Directory.GetFiles(data.Folder), path => path.EndsWith(".partial", StringComparison.Ordinal));
    }

    /// <summary>A search alone finds fit's first finalist, and training it alone gives a model of the same configuration.</summary>
    [Fact]
    public async Task Search_and_train_are_the_two_halves_of_fit()
    {
        (await data.Fit()).Expect(0);
        string configuration = data.File("configuration.json"),
            model = data.File("trained.zip");
        string[] search =
        [
            "search",
            data.Table("train"),
            "--clip",
            "tiny-drawn",
            "--output",
            configuration,
            "--search-epochs",
            "1",
            "--candidates",
            "0",
            "2",
            "--batch-size",
            "8",
            "--validation-per-class",
            "1",
            "--threads",
            "2",
            "--progress",
            "json",
        ];
        ToolProcess.Outcome searched = (await ToolProcess.Run(search)).Expect(0);
        PromptConfiguration found = PromptConfiguration.FromJson(File.ReadAllText(configuration));
        Assert.Equal(ResultsJson.ReadFile(Path.ChangeExtension(data.Model, ".results.json")).Finalists[0].Configuration, found);
        int steps = 0;
        foreach (string line in searched.ErrorLines)
        {
            using JsonDocument progress = JsonDocument.Parse(line);
            // A search of one epoch causes a warning.
            if (progress.RootElement.TryGetProperty("level", out JsonElement level))
            {
                Assert.Equal("warning", level.GetString());
                Assert.Contains("--search-epochs is 1", progress.RootElement.GetProperty("message").GetString());
                continue;
            }
            Assert.Equal("search", progress.RootElement.GetProperty("stage").GetString());
            steps++;
        }
        Assert.NotEqual(0, steps);

        ToolProcess.Outcome trained = (
            await ToolProcess.Run(
                "train",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--configuration",
                configuration,
                "--output",
                model,
                "--json",
                "none",
                "--report",
                "none",
                "--training-epochs",
                "2",
                "--batch-size",
                "8",
                "--quiet"
            )
        ).Expect(0);
        Assert.Empty(trained.Error);
        Assert.Equal(found, ModelInfo.Read(model).Configuration);
        Assert.False(File.Exists(Path.ChangeExtension(model, ".results.json")));
        Assert.False(File.Exists(Path.ChangeExtension(model, ".report.html")));
    }

    [Fact]
    public async Task Compare_tests_every_configuration()
    {
        string json = data.File("compare.json");
        ToolProcess.Outcome compared = (
            await ToolProcess.Run([
                "compare",
                data.Table("train"),
                "--test",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--configuration",
                "zero-shot",
                "uniform:2",
                "--configuration",
                "search",
                "--json",
                json,
                .. DrawnData.Short,
            ])
        ).Expect(0);
        using JsonDocument table = JsonDocument.Parse(File.ReadAllText(json));
        Assert.Equal(
            ["zero-shot", "uniform:2", "search"],
            table.RootElement.EnumerateArray().Select(row => row.GetProperty("name").GetString()!)
        );
        ToolProcess.Outcome alone = (
            await ToolProcess.Run("zeroshot", data.Table("test"), "--clip", "tiny-drawn", "--format", "json")
        ).Expect(0);
        using JsonDocument zeroShot = JsonDocument.Parse(alone.Output);
        Assert.Equal(
            zeroShot.RootElement.GetProperty("accuracy").GetProperty("accuracy").GetDouble(),
            table.RootElement[0].GetProperty("accuracy").GetProperty("accuracy").GetDouble()
        );
        Assert.Contains("uniform:2", compared.Output);
    }

    /// <summary>Uniform prompts must not train on images that the search sets aside either, and the events of two fits must not be
    /// mixed.</summary>
    [Fact]
    public async Task Baselines_learn_from_the_same_images()
    {
        string model = data.File("compared.zip"),
            runs = data.File("runs");
        Directory.CreateDirectory(Path.Combine(runs, "fit"));
        File.WriteAllText(Path.Combine(runs, "fit", "events.out.tfevents.1.other"), "");
        ToolProcess.Outcome fit = (
            await ToolProcess.Run(
                "fit",
                data.Table("train"),
                "--test",
                data.Table("test"),
                "--clip",
                "tiny-drawn",
                "--output",
                model,
                "--report",
                "none",
                "--search-epochs",
                "1",
                "--training-epochs",
                "1",
                "--candidates",
                "0",
                "1",
                "--batch-size",
                "8",
                "--baseline",
                "uniform:1",
                "--tensorboard",
                runs
            )
        ).Expect(0);
        Assert.Contains(fit.ErrorLines, line =>
            line.StartsWith("uniform:1, training: epoch 1/1", StringComparison.Ordinal)
            && line.Contains("validation accuracy", StringComparison.Ordinal)
        );
        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(model, ".results.json"));
        Assert.Equal("Of each class, 4 training images were set aside for validation, but never all.", results.Data!.SetAside);
        Assert.Equal("lighting", results.Asked.Task);
        Assert.Equal([new SplitSource("training", data.Table("train")), new SplitSource("test", data.Table("test"))], results.Data.Splits);
        ComparisonRow row = Assert.Single(results.Comparison);
        Assert.Equal(results.Test!.Accuracy.Accuracy - row.Accuracy.Accuracy, row.Difference!.Difference, 9);
        Assert.True(row.Seconds > 0);
        Assert.True(results.Stages[0].PeakBytes <= results.Stages[1].PeakBytes);
        Assert.Contains(fit.ErrorLines, line =>
            line.StartsWith("Warning:", StringComparison.Ordinal) && line.Contains(Path.Combine(runs, "fit"), StringComparison.Ordinal)
        );
        Assert.Single(Directory.EnumerateFiles(Path.Combine(runs, "uniform-1")));
    }

    /// <summary>An interrupt in the middle of training leaves a complete model that is marked as cancelled.</summary>
    [SkippableFact]
    public async Task An_interrupt_keeps_the_best()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no signals");
        string model = data.File("cancelled.zip");
        using Process process = ToolProcess.Start(
            "train",
            data.Table("train"),
            "--clip",
            "tiny-drawn",
            "--configuration",
            "uniform:2",
            "--output",
            model,
            "--training-epochs",
            "100000",
            "--batch-size",
            "8"
        );
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
            string? line;
            do line = await process.StandardError.ReadLineAsync(limit.Token);
            while (line?.Contains("epoch 1/", StringComparison.Ordinal) == false);
            Assert.NotNull(line);
            Signals.Send(process, Signals.Interrupt);
            string rest = await process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 130, rest);
            Assert.Contains("Cancelled; the model is the best one so far.", rest);
            Assert.Contains(model, await output);
            Assert.True(ModelInfo.Read(model).WasCancelled);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    [Fact]
    public async Task What_cannot_be_written_is_known_before_the_work()
    {
        string blocked = data.File("file");
        File.WriteAllText(blocked, "in the way");
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run("fit", data.Table("train"), "--clip", "tiny-drawn", "--output", Path.Combine(blocked, "model.zip"))
        ).Expect(2);
        Assert.Contains("--output", Assert.Single(outcome.ErrorLines));
    }
}
