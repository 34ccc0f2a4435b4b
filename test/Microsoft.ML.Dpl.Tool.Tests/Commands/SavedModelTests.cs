using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>Tests dpl evaluate, predict and inspect on a fitted model.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class SavedModelTests(DrawnData data)
{
    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }

    /// <summary>Compares with ML.NET's own metrics on the same images.</summary>
    [Fact]
    public async Task Evaluate_agrees_with_ML_NET()
    {
        (await data.Fit()).Expect(0);
        ToolProcess.Outcome outcome = (await ToolProcess.Run("evaluate", data.Model, data.Table("test"), "--format", "json")).Expect(0);
        using JsonDocument figures = JsonDocument.Parse(outcome.Output);
        var mlContext = new MLContext(1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(
            data.Rows("test").Select(row => new Row { ImagePath = row.Path, Label = row.Label })
        );
        ITransformer model = mlContext.Model.Load(data.Model, out _);
        IDataView keyed = mlContext
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Append(
                mlContext.Transforms.Conversion.MapValueToKey(
                    "PredictedLabel",
                    keyOrdinality: Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue
                )
            )
            .Fit(model.Transform(rows))
            .Transform(model.Transform(rows));
        MulticlassClassificationMetrics expected = mlContext.MulticlassClassification.Evaluate(keyed);
        Assert.Equal(expected.MicroAccuracy, figures.RootElement.GetProperty("accuracy").GetProperty("accuracy").GetDouble(), 6);
        Assert.Equal(expected.MacroAccuracy, figures.RootElement.GetProperty("macroAccuracy").GetDouble(), 6);
        Assert.Equal(expected.LogLoss, figures.RootElement.GetProperty("logLoss").GetDouble(), 4);
        (model as IDisposable)?.Dispose();

        ToolProcess.Outcome table = (await ToolProcess.Run("evaluate", data.Model, data.Table("test"))).Expect(0);
        foreach (string part in new[] { "calibration error", "log-loss", "taken for", data.Rows("test")[0].Label })
            Assert.Contains(part, table.Output);
    }

    [Fact]
    public async Task Predict_answers_in_every_form_and_goes_on_after_a_broken_file()
    {
        (await data.Fit()).Expect(0);
        string[] paths = [.. data.Rows("test").Select(row => row.Path)];
        string broken = data.File("broken.png"),
            missing = data.File("missing.png");
        File.WriteAllText(broken, "no image");
        string input = string.Join('\n', [paths[0], broken, "", paths[1], missing, paths[2]]);
        ToolProcess.Outcome lines = (await ToolProcess.Run(input, ["predict", data.Model, "-", "--format", "jsonl", "--top", "2"])).Expect(
            3
        );
        JsonElement[] answers =
        [
            .. lines
                .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => JsonSerializer.Deserialize<JsonElement>(line)),
        ];
        Assert.Equal([paths[0], broken, paths[1], missing, paths[2]], answers.Select(answer => answer.GetProperty("path").GetString()!));
        Assert.Equal([false, true, false, true, false], answers.Select(answer => answer.TryGetProperty("error", out _)));
        Assert.Contains(lines.ErrorLines, line => line.StartsWith(broken, StringComparison.Ordinal));
        Assert.Equal(2, answers[0].GetProperty("top").GetArrayLength());

        ToolProcess.Outcome csv = (await ToolProcess.Run("predict", data.Model, data.File("lighting/test"), "--format", "csv")).Expect(0);
        string[] rows = csv.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("path,class,probability", rows[0]);
        Assert.Equal(paths.Length, rows.Length - 1);
        string first = Assert.Single(rows, row => row.StartsWith(paths[0], StringComparison.Ordinal));
        Assert.Equal(answers[0].GetProperty("class").GetString(), first.Split(',')[1]);
        Assert.InRange(double.Parse(first.Split(',')[2], CultureInfo.InvariantCulture), 0, 1);

        Assert.Contains("probability", (await ToolProcess.Run("predict", data.Model, paths[0])).Expect(0).Output);
    }

    [Fact]
    public async Task Below_a_models_threshold_predict_and_evaluate_have_no_answer()
    {
        (await data.Fit()).Expect(0);
        string test = data.File("lighting/test");
        JsonElement[] plain = Lines(await ToolProcess.Run("predict", data.Model, test, "--format", "jsonl", "--top", "2"));
        double threshold = WidestGap([.. plain.Select(Probability)]);
        bool[] isBelow = [.. plain.Select(line => Probability(line) < threshold)];
        string zip = data.File("threshold.zip");
        var mlContext = new MLContext(1);
        using (DplTransformer model = mlContext.Model.LoadDpl(data.Model))
        {
            model.Threshold = threshold;
            mlContext.Model.Save(model, mlContext.Data.LoadFromEnumerable<Row>([]).Schema, zip);
        }

        JsonElement[] lines = Lines(await ToolProcess.Run("predict", zip, test, "--format", "jsonl", "--top", "2"));
        Assert.Equal(isBelow.Select(below => !below), lines.Select(line => line.TryGetProperty("class", out _)));
        Assert.Equal(plain.Select(line => line.GetProperty("top").ToString()), lines.Select(line => line.GetProperty("top").ToString()));
        foreach (string[] more in new[] { new[] { "--engine", "onnxruntime" }, ["--engine", "libtorch"] })
        {
            string csv = (await ToolProcess.Run(["predict", zip, test, "--format", "csv", .. more])).Expect(0).Output;
            string[][] rows = [.. csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split(','))];
            Assert.Equal(isBelow, rows.Select(row => row[1].Length == 0));
            Assert.All(rows, row => Assert.NotEmpty(row[2]));
        }
        string unanswered = plain[Array.IndexOf(isBelow, true)].GetProperty("path").GetString()!;
        Assert.Matches($@"{Regex.Escape(unanswered)}\s+\d", (await ToolProcess.Run("predict", zip, unanswered)).Expect(0).Output);
        Assert.Contains("threshold", (await ToolProcess.Run("predict", "--help")).Expect(0).Output);

        JsonElement before = Figures(await ToolProcess.Run("evaluate", data.Model, data.Table("test"), "--format", "json")),
            after = Figures(await ToolProcess.Run("evaluate", zip, data.Table("test"), "--format", "json"));
        Assert.False(before.TryGetProperty("unanswered", out _));
        Assert.Equal(isBelow.Count(below => below), after.GetProperty("unanswered").GetInt32());
        JsonElement[] predictions = [.. after.GetProperty("predictions").EnumerateArray()];
        Assert.All(predictions, p => Assert.Equal(Probability(p) < threshold, p.GetProperty("predicted").ValueKind == JsonValueKind.Null));
        Assert.Equal(
            predictions.Count(p => p.GetProperty("predicted").GetString() == p.GetProperty("true").GetString()),
            after.GetProperty("accuracy").GetProperty("accuracy").GetDouble() * predictions.Length,
            6
        );
        foreach (string same in new[] { "logLoss", "calibration" })
            Assert.Equal(before.GetProperty(same).ToString(), after.GetProperty(same).ToString());
        Assert.Contains("without an answer", (await ToolProcess.Run("evaluate", zip, data.Table("test"))).Expect(0).Output);
        Assert.DoesNotContain("without an answer", (await ToolProcess.Run("evaluate", data.Model, data.Table("test"))).Expect(0).Output);

        static double Probability(JsonElement line) => line.GetProperty("probability").GetDouble();

        static JsonElement Figures(ToolProcess.Outcome outcome) => JsonSerializer.Deserialize<JsonElement>(outcome.Expect(0).Output);

        static JsonElement[] Lines(ToolProcess.Outcome outcome) =>
            [
                .. outcome
                    .Expect(0)
                    .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .Select(line => JsonSerializer.Deserialize<JsonElement>(line)),
            ];
    }

    // In the middle of the widest gap no engine's rounding changes which images are below.
    private static double WidestGap(double[] probabilities)
    {
        double[] sorted = [.. probabilities.Order()];
        (double lower, double upper) = sorted.Zip(sorted.Skip(1)).MaxBy(pair => pair.Second - pair.First);
        return (lower + upper) / 2;
    }

    [Fact]
    public async Task Predict_counts_every_image_once_the_broken_too()
    {
        (await data.Fit()).Expect(0);
        string broken = data.File("uncounted.png");
        File.WriteAllText(broken, "no image");
        string[] paths = [data.Rows("test")[0].Path, broken, data.Rows("test")[1].Path];
        string[] command = ["predict", data.Model, .. paths, "--format", "jsonl", "--progress", "json"];
        ToolProcess.Outcome outcome = (await ToolProcess.Run(command)).Expect(3);
        JsonElement[] counts =
        [
            .. outcome
                .ErrorLines.Select(line => JsonSerializer.Deserialize<JsonElement>(line))
                .Where(line => line.TryGetProperty("stage", out JsonElement stage) && stage.GetString() == "images"),
        ];
        // The first image is reported at once, and the last report counts all images.
        Assert.Equal((1, 3), (counts[0].GetProperty("done").GetInt32(), counts[^1].GetProperty("done").GetInt32()));
        Assert.All(counts, count => Assert.Equal("predict", count.GetProperty("name").GetString()));
        Assert.All(counts, count => Assert.Equal(3, count.GetProperty("all").GetInt32()));
        Assert.Contains("1 of 3 images could not be read", outcome.Error);
    }

    [Fact]
    public async Task Inspect_shows_the_zip()
    {
        (await data.Fit()).Expect(0);
        ToolProcess.Outcome outcome = (await ToolProcess.Run("inspect", data.Model)).Expect(0);
        foreach (string part in new[] { "a search of 1 epochs among 0 2", "SHA-256", "prompts.safetensors", data.Rows("test")[0].Label })
            Assert.Contains(part, outcome.Output);
        Assert.Empty(outcome.Error);
        string other = data.File("other.zip");
        File.WriteAllText(other, "no zip");
        Assert.Contains("not a zip", Assert.Single((await ToolProcess.Run("inspect", other)).Expect(2).ErrorLines));
    }

    /// <summary>Inspect only looks at the zip, so it can say what is wrong with it.</summary>
    [Fact]
    public async Task Inspect_says_that_no_other_verb_would_open_a_zip()
    {
        (await data.Fit()).Expect(0);
        string zip = data.File("leads-out.zip");
        File.Copy(data.Model, zip, overwrite: true);
        using (ZipArchive archive = ZipFile.Open(zip, ZipArchiveMode.Update))
            archive.CreateEntry("../outside.txt");

        ToolProcess.Outcome table = (await ToolProcess.Run("inspect", zip)).Expect(0);
        Assert.Contains("REFUSED: no other command opens it", table.Output);
        string reason = Assert.Single(table.ErrorLines);
        Assert.Contains("is refused: the name of its entry '../outside.txt' leads out of the zip.", reason);
        ToolProcess.Outcome predict = (await ToolProcess.Run("predict", zip, data.Rows("test")[0].Path)).Expect(2);
        Assert.Contains(Assert.Single(predict.ErrorLines), reason);

        JsonElement json = JsonSerializer.Deserialize<JsonElement>((await ToolProcess.Run("inspect", zip, "--format", "json")).Output);
        Assert.Contains("leads out of the zip", json.GetProperty("refusal").GetString());
        json = JsonSerializer.Deserialize<JsonElement>((await ToolProcess.Run("inspect", data.Model, "--format", "json")).Output);
        Assert.Equal(JsonValueKind.Null, json.GetProperty("refusal").ValueKind);
    }

    [Fact]
    public async Task Inspect_says_each_thing_once()
    {
        string zip = data.File("turned.zip");
        (
            await ToolProcess.Run(
                "train",
                data.Table("train"),
                "--clip",
                "tiny-drawn",
                "--configuration",
                "uniform:1",
                "--training-epochs",
                "1",
                "--apply-exif",
                "--output",
                zip,
                "--report",
                "none",
                "--baseline",
                "none"
            )
        ).Expect(0);
        string[] lines = (await ToolProcess.Run("inspect", zip)).Expect(0).Output.Split('\n');
        Assert.Contains(
            "rotated as their EXIF orientation says",
            Assert.Single(lines, line => line.TrimStart().StartsWith("images ", StringComparison.Ordinal))
        );
        string[] names = [.. lines.Select(line => line.Trim().Split("  ")[0]).Where(name => name.Length > 0)];
        Assert.Equal(names.Distinct(), names);
    }

    [Fact]
    public async Task A_class_that_the_model_does_not_know_is_named()
    {
        (await data.Fit()).Expect(0);
        string table = data.File("other.csv");
        File.WriteAllText(table, $"path,category\n\"{data.Rows("test")[0].Path}\",\"blue, light\"\n");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("evaluate", data.Model, table)).Expect(2);
        Assert.Contains("'blue, light'", Assert.Single(outcome.ErrorLines));
    }
}
