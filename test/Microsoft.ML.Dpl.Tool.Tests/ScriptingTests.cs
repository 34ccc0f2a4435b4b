using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>The command in scripts, pipes and terminals of all kinds.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed partial class ScriptingTests(DrawnData data)
{
    /// <summary>CoOp's split file with an image root, unusual names, another language, and JSON on both streams.</summary>
    [Fact]
    public async Task Everything_is_JSON_where_that_is_asked_for()
    {
        string folder = Path.Combine(data.Folder, "Bilder – 写真 1");
        Directory.CreateDirectory(folder);
        string split = Path.Combine(folder, "split_zhou_ä.json"),
            model = Path.Combine(folder, "Modell 1.zip");
        string[] classes = [.. data.Rows("train").Select(row => row.Label).Distinct()];
        object[][] Entries(string set) =>
            [
                .. data.Rows(set)
                    .Select(row =>
                        new object[] { Path.GetRelativePath(data.Folder, row.Path), Array.IndexOf(classes, row.Label), row.Label }
                    ),
            ];
        File.WriteAllText(
            split,
            JsonSerializer.Serialize(
                new
                {
                    train = Entries("train"),
                    val = Entries("validation"),
                    test = Entries("test"),
                }
            )
        );

        ToolProcess.Outcome outcome = (
            await ToolProcess.Run(
                null,
                [
                    "train",
                    split,
                    "--image-root",
                    data.Folder,
                    "--shots",
                    "2",
                    "--seed",
                    "1",
                    "--clip",
                    "tiny-drawn",
                    "--configuration",
                    "uniform:1",
                    "--training-epochs",
                    "1",
                    "--batch-size",
                    "8",
                    "--precision",
                    "bfloat16",
                    "--output",
                    model,
                    "--json",
                    "-",
                    "--report",
                    "none",
                    "--baseline",
                    "none",
                    "--progress",
                    "json",
                ],
                ("LC_ALL", "de_DE.UTF-8")
            )
        ).Expect(0);
        FitResults results = ResultsJson.Read(outcome.Output);
        Assert.Equal(model, results.ModelPath);
        Assert.All(results.Data!.Classes, c => Assert.Equal([2, 1, 2], c.Counts));
        Assert.Contains($"'{split}'", results.Asked.CommandLine);
        Assert.Contains("--precision bfloat16", results.Asked.CommandLine);
        JsonElement[] lines = [.. outcome.ErrorLines.Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        Assert.Contains(lines, line =>
            line.TryGetProperty("epochEnded", out JsonElement ended)
            && ended.GetBoolean()
            && line.GetProperty("validationAccuracy").GetDouble() is >= 0 and <= 1
        );
        JsonElement tested = lines.Last(line =>
            line.TryGetProperty("stage", out JsonElement stage)
            && stage.GetString() == "images"
            && line.GetProperty("name").GetString() == "test"
        );
        Assert.Equal(results.Test!.Predictions.Count, tested.GetProperty("done").GetInt32());
        Assert.Equal(results.Test.Accuracy.Accuracy, tested.GetProperty("accuracy").GetDouble(), 9);
        Assert.False(File.Exists(Path.ChangeExtension(model, ".results.json")));

        ToolProcess.Outcome csv = (
            await ToolProcess.Run(
                null,
                ["predict", model, data.Rows("test")[0].Path, "--format", "csv", "--top", "2"],
                ("LC_ALL", "de_DE.UTF-8")
            )
        ).Expect(0);
        Assert.Matches(@"^[^,]*,[^,]*,0?\.?\d[\d.e-]*,[^,]*,\d[\d.e-]*$", csv.Output.Trim().Split('\n')[1]);
        // Failures are JSON objects, too, and name the option as it is typed.
        ToolProcess.Outcome failed = (
            await ToolProcess.Run(
                "train",
                split,
                "--image-root",
                data.Folder,
                "--clip",
                "tiny-drawn",
                "--configuration",
                "uniform:1",
                "--momentum",
                "1.5",
                "--output",
                model,
                "--progress",
                "json"
            )
        ).Expect(2);
        JsonElement error = JsonSerializer.Deserialize<JsonElement>(Assert.Single(failed.ErrorLines));
        Assert.Equal("error", error.GetProperty("level").GetString());
        Assert.StartsWith("--momentum must be", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_missing_GPU_has_a_sentence_and_a_code_of_its_own()
    {
        Skip.If(LibTorchRuntime.HasCuda, "there is a GPU");
        (await data.Fit()).Expect(0);
        foreach (
            string[] arguments in new string[][]
            {
                ["train", data.Table("train"), "--clip", "someone/never-downloaded", "--configuration", "uniform:1"],
                ["evaluate", data.Model, data.Table("test")],
            }
        )
        {
            ToolProcess.Outcome outcome = (await ToolProcess.Run([.. arguments, "--device", "cuda"])).Expect(4);
            string line = Assert.Single(outcome.ErrorLines);
            foreach (string part in new[] { "--device cuda", "DPL_LIBTORCH", "--fallback-to-cpu" })
                Assert.Contains(part, line);
        }
        ToolProcess.Outcome fallen = (
            await ToolProcess.Run("predict", data.Model, data.Rows("test")[0].Path, "--device", "cuda", "--fallback-to-cpu")
        ).Expect(0);
        Assert.Contains("Warning: ", fallen.Error);
    }

    /// <summary>Scripts can tell this failure from wrong input: the same command with a lower learning rate may succeed.</summary>
    [Fact]
    public async Task Numbers_that_go_wrong_have_a_code_of_their_own_whether_or_not_there_is_a_model()
    {
        string model = data.File("ruined.zip"),
            none = data.File("none.zip");
        string[] train =
        [
            "train",
            data.Table("train"),
            "--clip",
            "tiny-drawn",
            "--recipe",
            "paper",
            "--batch-size",
            "8",
            "--configuration",
            "uniform:1",
            "--report",
            "none",
            "--baseline",
            "none",
            "--output",
        ];
        string[] ruinous = ["--training-epochs", "3", "--training-learning-rate", "1e37"];
        ToolProcess.Outcome ruined = (await ToolProcess.Run([.. train, model, .. ruinous])).Expect(5);
        Assert.Contains("the model is the best there was before", ruined.ErrorLines[^1]);
        Assert.True(File.Exists(model));
        // The numbers go wrong in the first epoch, before which there is nothing to return.
        ToolProcess.Outcome nothing = (await ToolProcess.Run([.. train, none, "--weight-decay", "1e38"])).Expect(5);
        Assert.Contains("training epoch 1, step 2", Assert.Single(nothing.ErrorLines));
        Assert.False(File.Exists(none));
    }

    [Fact]
    public async Task A_test_that_cannot_be_made_is_known_before_the_fit()
    {
        string table = data.File("strange.tsv"),
            model = data.File("never.zip");
        File.WriteAllText(table, $"Path\tClass\n{data.Rows("test")[0].Path}\tno such colour\n");
        string[] fit =
        [
            "train",
            data.Table("train"),
            "--clip",
            "tiny-drawn",
            "--configuration",
            "uniform:1",
            "--test",
            table,
            "--training-epochs",
            "100000",
        ];
        Assert.Contains("'no such colour'", Assert.Single((await ToolProcess.Run([.. fit, "--output", model])).Expect(2).ErrorLines));
        Assert.False(File.Exists(model));
        Assert.Contains("--output would replace", Assert.Single((await ToolProcess.Run([.. fit, "--output", table])).Expect(2).ErrorLines));
        Assert.StartsWith("Path", File.ReadAllText(table));
    }

    /// <summary>As with <c>| head -1</c>: the remaining images are not classified when nobody reads the output.</summary>
    [SkippableFact]
    public async Task A_reader_that_goes_away_ends_predictions()
    {
        Skip.If(OperatingSystem.IsWindows(), "there are no such pipes");
        (await data.Fit()).Expect(0);
        const string script = """
            set -o pipefail
            dotnet "$PROGRAM" predict "$MODEL" "$FOLDER" --format csv --batch-size 1 | head -1
            """;
        ToolProcess.Outcome outcome = await ToolProcess.RunProgram(
            "bash",
            ["-c", script],
            ("PROGRAM", ToolProcess.Program),
            ("MODEL", data.Model),
            ("FOLDER", data.File("lighting/test"))
        );
        outcome.Expect(141);
        Assert.Equal("path,class,probability\n", outcome.Output);
        Assert.Empty(outcome.Error);
    }

    /// <summary>On a pseudo-terminal of 60 columns: moving bars, every frame within the width, and no colours where they are
    /// unwanted.</summary>
    [SkippableTheory]
    [InlineData("")]
    [InlineData("1")]
    public async Task A_terminal_shows_bars_within_its_width(string noColor)
    {
        Skip.If(!File.Exists("/usr/bin/script") || !OperatingSystem.IsLinux(), "there is no script command that makes a pseudo-terminal");
        string command =
            $"stty cols 60 rows 24; unset CI GITHUB_ACTIONS NO_COLOR; {(noColor.Length > 0 ? $"export NO_COLOR={noColor};" : "")} "
            + $"dotnet '{ToolProcess.Program}' train '{data.Table("train")}' --clip tiny-drawn --configuration uniform:2 "
            + $"--training-epochs 2 --batch-size 8 --validation-per-class 1 --report none --output '{data.File("terminal.zip")}'";
        ToolProcess.Outcome outcome = (
            await ToolProcess.RunProgram("script", ["-qec", command, "/dev/null"], ("TERM", "xterm-256color"))
        ).Expect(0);
        Assert.Contains("\u001b[?25l", outcome.Output);
        string[] frames = [.. Control().Replace(outcome.Output, "").Split(['\n', '\r'])];
        Assert.Contains(frames, frame =>
            frame.Contains("train, training: epoch 2/2", StringComparison.Ordinal) && frame.Contains('%', StringComparison.Ordinal)
        );
        Assert.All(frames.Where(frame => frame.Contains("train, training", StringComparison.Ordinal)), frame =>
            Assert.InRange(frame.TrimEnd().Length, 1, 60)
        );
        Assert.Equal(noColor.Length == 0, Colour().IsMatch(outcome.Output));
    }

    [GeneratedRegex("\u001b\\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Control();

    [GeneratedRegex("\u001b\\[[0-9;]*(?:3[0-9]|38;5;[0-9]+)m")]
    private static partial Regex Colour();
}
