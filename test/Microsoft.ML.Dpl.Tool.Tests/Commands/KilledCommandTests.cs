using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>A command with a workspace that is killed and run again: nothing is done twice, and its output is complete.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class KilledCommandTests(DrawnData data)
{
    private const string SearchEnded = "fit, search: epoch 2/2",
        TrainingBegun = "fit, training: epoch 1/20",
        TrainingUnderWay = "fit, training: epoch 2/20",
        BaselineBegun = "uniform:2, training: epoch 1/20",
        BaselineUnderWay = "uniform:2, training: epoch 2/20";

    [Fact]
    [Trait("Category", "Slow")]
    public async Task A_killed_fit_goes_on_and_so_does_its_baseline()
    {
        ToolProcess.Outcome whole = (await ToolProcess.Run(Fit("whole.zip"))).Expect(0);
        Assert.Contains(SearchEnded, whole.Error);
        string workspace = data.File("workspace");
        string[] command = [.. Fit("killed.zip"), "--workspace", workspace, "--checkpoint-minutes", "0.00001"];

        // An epoch's line is printed before its checkpoint is written, so only the previous epoch's checkpoint is certain to exist.
        Assert.Contains(SearchEnded, await KilledAt(TrainingUnderWay, command));
        Assert.False(File.Exists(data.File("killed.zip")));
        string second = await KilledAt(BaselineUnderWay, command);
        Assert.DoesNotContain("fit, search:", second);
        Assert.DoesNotContain(TrainingBegun, second);
        Assert.Contains("fit, training: epoch 20/20", second);
        Assert.True(File.Exists(data.File("killed.zip")));

        ToolProcess.Outcome last = (await ToolProcess.Run(command)).Expect(0);
        Assert.DoesNotContain("fit, ", last.Error);
        Assert.DoesNotContain(BaselineBegun, last.Error);
        Assert.Contains("uniform:2, training: epoch 20/20", last.Error);
        Assert.Equal(Prompts("whole.zip"), Prompts("killed.zip"));
        FitResults expected = Results("whole.zip"),
            results = Results("killed.zip");
        Assert.Equal(20, results.Training!.Epochs.Count);
        Assert.Equal(Json(expected.Training), Json(results.Training));
        Assert.Equal(Json(expected.Search), Json(results.Search));
        Assert.Equal(Json(expected.Test!.Predictions), Json(results.Test!.Predictions));
        // Everything but the duration.
        Assert.Equal(
            Json(expected.Comparison.Select(row => row with { Seconds = null })),
            Json(results.Comparison.Select(row => row with { Seconds = null }))
        );
        Assert.Equal(["Search", "Training", "Test"], results.Stages.Select(stage => stage.Name));
        Assert.All(results.Stages, stage => Assert.True(stage.Seconds > 0, stage.Name));
        // The command has finished, so the next one starts from scratch.
        Assert.Empty(Directory.GetFileSystemEntries(workspace));
    }

    // Enough epochs for a kill at the second to come well before the end.
    private string[] Fit(string model) =>
        [
            "fit",
            data.Table("train"),
            "--test",
            data.Table("test"),
            "--clip",
            "tiny-drawn",
            "--output",
            data.File(model),
            "--report",
            "none",
            "--baseline",
            "uniform:2",
            "--recipe",
            "paper",
            "--search-epochs",
            "2",
            "--training-epochs",
            "20",
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
            "lines",
        ];

    /// <summary>Runs the command and kills it without warning once a line contains the given words.</summary>
    /// <returns>The text it had written to the error stream.</returns>
    private static async Task<string> KilledAt(string words, string[] command)
    {
        using Process process = ToolProcess.Start(command);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var lines = new List<string>();
        try
        {
            while (await process.StandardError.ReadLineAsync(limit.Token) is { } line)
            {
                lines.Add(line);
                if (line.Contains(words, StringComparison.Ordinal))
                    return string.Join('\n', lines);
            }
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
        throw new InvalidOperationException($"The command ended before '{words}':\n{string.Join('\n', lines)}");
    }

    private FitResults Results(string model) => ResultsJson.ReadFile(Path.ChangeExtension(data.File(model), ".results.json"));

    private string Prompts(string model)
    {
        using ZipArchive zip = ZipFile.OpenRead(data.File(model));
        using Stream prompts = zip.Entries.Single(entry => entry.Name == "prompts.safetensors").Open();
        using var bytes = new MemoryStream();
        prompts.CopyTo(bytes);
        return Convert.ToHexString(bytes.ToArray());
    }

    private static string Json<T>(T value) => JsonSerializer.Serialize(value);
}
