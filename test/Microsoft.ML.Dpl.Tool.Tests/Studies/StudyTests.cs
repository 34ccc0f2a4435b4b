using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Whole studies, as a user runs them.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class StudyTests(DrawnData data)
{
    private const int Runs = 12;

    [Fact]
    [Trait("Category", "Slow")]
    public async Task A_killed_study_goes_on_and_shards_and_jobs_change_nothing()
    {
        string plan = Plan("killed");
        string[] Study(string folder, params string[] more) =>
            ["study", plan, "--output", data.File(folder), "--progress", "lines", .. more];
        (await ToolProcess.Run(Study("whole", "--jobs", "1"))).Expect(0);
        string expected = await Table("whole");
        Assert.Contains("| uniform:2 steps=4 |", expected);

        string[] killed = Study("killed", "--jobs", "2");
        await KillAt("3/12 ", killed);
        string[] there = Results("killed");
        Assert.InRange(there.Length, 3, Runs - 2);
        Assert.DoesNotContain(there, file => file.EndsWith(".partial", StringComparison.Ordinal));
        // One of the results is damaged.
        File.WriteAllText(there[0], "{\"form\": 1");
        var written = there.Skip(1).ToDictionary(file => file, File.GetLastWriteTimeUtc);
        ToolProcess.Outcome resumed = (await ToolProcess.Run(killed)).Expect(0);
        Assert.Contains($"'{there[0]}' cannot be read as the result of a run, so the run is repeated.", resumed.Error);
        Assert.All(written, file => Assert.Equal(file.Value, File.GetLastWriteTimeUtc(file.Key)));
        Assert.Equal(expected, await Table("killed"));

        // The scheduler's variables and the option are equivalent.
        (await ToolProcess.Run(Study("shards", "--shard", "2/2", "--jobs", "1"))).Expect(0);
        Assert.Equal(Runs / 2, Results("shards").Length);
        await RunAndKillAWorker(
            Study("shards", "--jobs", "2"),
            ("SLURM_ARRAY_TASK_ID", "5"),
            ("SLURM_ARRAY_TASK_MIN", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "2")
        );
        Assert.Equal(expected, await Table("shards"));

        ToolProcess.Outcome again = (await ToolProcess.Run(killed)).Expect(0);
        Assert.Contains($"{Runs} of {Runs} runs were done before.", again.Error);
        foreach (string format in new[] { "csv", "latex", "html" })
            Assert.Equal(await Table("whole", format), await Table("shards", format));
    }

    [Fact]
    public async Task An_interrupted_study_keeps_what_has_ended()
    {
        string[] study = ["study", Plan("interrupted"), "--output", data.File("interrupted"), "--progress", "lines", "--jobs", "2"];
        using Process process = ToolProcess.Start(study);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (await process.StandardError.ReadLineAsync(limit.Token) is { } line && !line.StartsWith("2/12 ", StringComparison.Ordinal))
        { }
        Signals.Send(process, Signals.Interrupt);
        await process.WaitForExitAsync(limit.Token);
        Assert.Equal(130, process.ExitCode);
        string[] there = Results("interrupted");
        Assert.InRange(there.Length, 2, Runs - 1);
        Assert.All(there, file => Assert.NotNull(JsonNode.Parse(File.ReadAllText(file))!["tests"]));
    }

    [Fact]
    public async Task Results_of_another_plan_are_not_mixed_in()
    {
        string[] Study(string plan) => ["study", plan, "--output", data.File("mixed"), "--jobs", "1", "--quiet"];
        string plan = Plan("mixed", """, "methods": ["zero-shot"]""");
        (await ToolProcess.Run(Study(plan))).Expect(0);
        File.WriteAllText(plan, File.ReadAllText(plan).Replace("\"threads\": 1", "\"threads\": 2", StringComparison.Ordinal));
        ToolProcess.Outcome refused = (await ToolProcess.Run(Study(plan))).Expect(2);
        Assert.Contains("was made with another number of threads: '1' instead of '2'. Name another folder with --output", refused.Error);
        File.WriteAllText(
            plan,
            File.ReadAllText(plan)
                .Replace("\"threads\": 2", "\"threads\": 1", StringComparison.Ordinal)
                .Replace(Json(data.Table("test")), Json(data.Table("validation")), StringComparison.Ordinal)
        );
        Assert.Contains("was made with another place of its images: ", (await ToolProcess.Run(Study(plan))).Expect(2).Error);
    }

    [Fact]
    public async Task A_half_of_one_class_is_refused_before_the_first_run()
    {
        string[] rows = File.ReadAllLines(data.Table("train"));
        string[] labels = [.. rows.Skip(1).Select(row => row.Split('\t')[1]).Distinct().Take(3)];
        string three = Path.Combine(Path.GetDirectoryName(data.Table("train"))!, "three.tsv");
        File.WriteAllLines(three, rows.Where((row, i) => i == 0 || labels.Contains(row.Split('\t')[1])));
        string plan = data.File("three.json");
        File.WriteAllText(
            plan,
            $$"""
            { "clip": "tiny-drawn", "threads": 1, "seeds": [1], "shots": [1], "protocol": "base-to-new", "methods": ["uniform:1 steps=1"],
              "dataSets": [{ "name": "three", "train": {{Json(three)}}, "test": {{Json(three)}} }] }
            """
        );
        string error = (await ToolProcess.Run("study", plan, "--output", data.File("three"), "--jobs", "1")).Expect(2).Error;
        Assert.Contains("has a single class in its test", error);
        Assert.False(Directory.Exists(data.File("three")));
    }

    [Fact]
    public async Task Methods_and_data_are_looked_at_before_the_first_run()
    {
        async Task<string> Refusal(string name, string rest, int code = 2)
        {
            ToolProcess.Outcome outcome = await ToolProcess.Run("study", Plan(name, rest), "--output", data.File(name), "--jobs", "1");
            Assert.Single(outcome.Expect(code).ErrorLines);
            Assert.False(Directory.Exists(data.File(name)));
            return outcome.Error;
        }
        Assert.Contains(
            "methods[1] ('uniform:4 batch=0') cannot be used: --batch-size must be at least 1; it is 0.\n",
            await Refusal("batch", """, "methods": ["zero-shot", "uniform:4 batch=0"]""")
        );
        Assert.Contains(
            "gpu.json', device cuda: there is no usable GPU here",
            await Refusal("gpu", """, "methods": ["zero-shot"], "device": "cuda" """, code: 4)
        );
        string moved = data.File("moved.json");
        File.WriteAllText(
            moved,
            File.ReadAllText(Plan("moved", """, "methods": ["zero-shot"]""")).Replace("train.tsv", "trian.tsv", StringComparison.Ordinal)
        );
        Assert.Contains(
            "dataSets[0] cannot be read: There is no file or folder",
            (await ToolProcess.Run("study", moved, "--output", data.File("moved"))).Expect(2).Error
        );
    }

    [Fact]
    public async Task A_run_that_fails_leaves_the_others_alone()
    {
        string broken = data.File("broken.png"),
            table = data.File("broken.tsv");
        File.WriteAllText(broken, "no image");
        File.WriteAllLines(
            table,
            ["ImagePath\tLabel", .. data.Rows("test").Select(row => $"{row.Path}\t{row.Label}"), $"{broken}\t{data.Rows("test")[0].Label}"]
        );
        string plan = data.File("broken.json");
        File.WriteAllText(
            plan,
            $$"""
            { "clip": "tiny-drawn", "protocol": "few-shot", "seeds": [1], "methods": ["zero-shot"], "dataSets": [
              { "name": "broken", "train": {{Json(data.Table("train"))}}, "test": {{Json(table)}} },
              { "name": "good", "train": {{Json(data.Table("train"))}}, "test": {{Json(data.Table("test"))}} } ] }
            """
        );
        ToolProcess.Outcome partly = (await ToolProcess.Run("study", plan, "--output", data.File("partly"), "--jobs", "1")).Expect(3);
        Assert.Contains("few-shot broken, zero-shot: ", partly.Error);
        Assert.Contains(broken, partly.Error);
        Assert.Contains("1 of 2 runs failed", partly.Error);
        string good = Assert.Single(Results("partly"));
        Assert.Contains("1 of 2 planned runs are there", await Table("partly"));

        // A result records what it was made with; one of another version is kept, with a warning before others are added.
        JsonNode result = JsonNode.Parse(File.ReadAllText(good))!;
        Assert.Matches("^[0-9]+\\.[0-9]+\\.[0-9]+", (string)result["library"]!);
        Assert.Matches("^[0-9a-f]{64}$", (string)result["settings"]!["clipSha256"]!);
        Assert.DoesNotContain("version", partly.Error);
        result["library"] = "0.0.1";
        File.WriteAllText(good, result.ToJsonString());
        ToolProcess.Outcome again = (await ToolProcess.Run("study", plan, "--output", data.File("partly"), "--jobs", "1")).Expect(3);
        Assert.Contains("1 of 2 runs were done before, 1 of them with another version of the library; ", again.Error);
        Assert.Equal("0.0.1", (string)JsonNode.Parse(File.ReadAllText(good))!["library"]!);
    }

    private async Task<string> Table(string folder, string format = "markdown") =>
        (await ToolProcess.Run("study", "table", data.File(folder), "--format", format, "--no-seconds"))
            .Expect(0)
            .Output.Replace(folder, "folder", StringComparison.Ordinal);

    private string[] Results(string folder) =>
        [
            .. Directory
                .EnumerateFiles(data.File(folder), "*", SearchOption.AllDirectories)
                .Where(file => Path.GetFileName(file) != "plan.json")
                .Order(StringComparer.Ordinal),
        ];

    private string Plan(string name, string? only = null)
    {
        string file = data.File($"{name}.json");
        string drawn = $$"""{ "name": "lighting", "train": {{Json(data.Table("train"))}}, "test": {{Json(data.Table("test"))}} }""";
        string parts = """
            , "methods": ["zero-shot", "uniform:2 steps=4", "text:1 steps=4"],
              "parts": [
                { "protocol": "few-shot", "shots": [1, 2], "seeds": [1, 2] },
                { "protocol": "base-to-new", "shots": [2] } ]
            """;
        File.WriteAllText(
            file,
            $$"""
            { "clip": "tiny-drawn", "threads": 1, "dataSets": [{{drawn}}], "seeds": [1] {{(
                only is null ? parts : $"{only}, \"protocol\": \"few-shot\""
            )}} }
            """
        );
        return file;
    }

    /// <summary>Runs a study with parallel processes, kills one of them, and requires that nothing is missing.</summary>
    private static async Task RunAndKillAWorker(string[] command, params (string Name, string Value)[] environment)
    {
        using Process process = ToolProcess.Start(command, environment);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var lines = new List<string>();
        while (await process.StandardError.ReadLineAsync(limit.Token) is { } line)
        {
            lines.Add(line);
            if (OperatingSystem.IsLinux() && lines.Count == 1)
            {
                // Any of the process's threads may have started it.
                string children = string.Concat(
                    Directory.GetDirectories($"/proc/{process.Id}/task").Select(task => File.ReadAllText(Path.Combine(task, "children")))
                );
                using var worker = Process.GetProcessById(
                    int.Parse(children.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture)
                );
                worker.Kill();
            }
        }
        await process.WaitForExitAsync(limit.Token);
        string said = string.Join('\n', lines);
        Assert.True(process.ExitCode == 0, said);
        if (OperatingSystem.IsLinux())
            Assert.Contains("the process that did it ended with code 137; it is repeated.", said);
    }

    private static string Json(string text) => JsonSerializer.Serialize(text);

    private static async Task KillAt(string words, string[] command)
    {
        using Process process = ToolProcess.Start(command);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        try
        {
            while (await process.StandardError.ReadLineAsync(limit.Token) is { } line)
                if (line.StartsWith(words, StringComparison.Ordinal))
                    return;
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            // The worker processes end after their current run, and may still write its result.
            await Task.Delay(TimeSpan.FromSeconds(3), CancellationToken.None);
        }
        throw new InvalidOperationException($"The command ended before '{words}'.");
    }
}
