using System.Diagnostics;
using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>Tests dpl predict over many images: parts, shards, and processes that are killed.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class PredictPartsTests(DrawnData data)
{
    private const int Batch = 4;

    [Theory]
    [InlineData("jsonl")]
    [InlineData("csv")]
    public async Task Shards_one_after_another_are_the_whole(string format)
    {
        (await data.Fit()).Expect(0);
        string broken = data.File("broken-part.png"),
            folder = $"shards-{format}";
        File.WriteAllText(broken, "no image");
        // The broken image is in the middle, and the images divide evenly into neither parts nor shards.
        string[] paths = [.. Paths.Take(9), broken, .. Paths.Skip(9).Take(8)];
        string list = string.Join('\n', paths) + "\n";
        ToolProcess.Outcome whole = (await ToolProcess.Run(list, Predict("--format", format))).Expect(3);

        string[] Shard(params string[] more) => Predict(["--format", format, "--output", data.File(folder), "--part-size", "4", .. more]);
        (await ToolProcess.Run(list, Shard("--shard", "3/3"))).Expect(0);
        // The second shard has the broken image, and is selected by the scheduler's variables.
        ToolProcess.Outcome second = await ToolProcess.Run(
            list,
            Shard("--resume"),
            ("SLURM_ARRAY_TASK_ID", "1"),
            ("SLURM_ARRAY_TASK_COUNT", "3")
        );
        Assert.Contains("1 of 8 images could not be read.", second.Expect(3).Error);
        Assert.Contains("cat ", (await ToolProcess.Run(list, Shard("--shard", "1/3"))).Expect(0).Error);
        Assert.Equal(["part-00000000", "part-00000001", "part-00000002", "part-00000003", "part-00000004"], Parts(folder).Select(Name));
        Assert.Equal(whole.Output, Together(folder));

        // Finished parts are not written again, but their unreadable images are still reported.
        var written = Parts(folder).ToDictionary(file => file, File.GetLastWriteTimeUtc);
        Assert.Contains("1 of 8 images", (await ToolProcess.Run(list, Shard("--shard", "2/3", "--resume"))).Expect(3).Error);
        Assert.All(written, file => Assert.Equal(file.Value, File.GetLastWriteTimeUtc(file.Key)));

        // More shards than parts.
        Assert.Contains(
            "There are no images for shard 1/18: a part has 4 images (--part-size)",
            (await ToolProcess.Run(list, Shard("--shard", "1/18"))).Expect(0).Error
        );
    }

    [Fact]
    public async Task A_killed_shard_that_goes_on_ends_in_the_same_bytes()
    {
        (await data.Fit()).Expect(0);
        string[] paths = [.. Enumerable.Repeat(Paths, 20).SelectMany(each => each)];
        string list = string.Join('\n', paths) + "\n";
        string[] Shard(string folder, params string[] more) =>
            Predict(["--format", "jsonl", "--output", data.File(folder), "--shard", "1/2", "--part-size", "8", .. more]);
        (await ToolProcess.Run(list, Shard("never-killed"))).Expect(0);

        string[] killed = Shard("killed-parts", "--resume");
        using (Process process = ToolProcess.Start(killed))
        {
            await process.StandardInput.WriteAsync(list);
            process.StandardInput.Close();
            using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            while (!Directory.Exists(data.File("killed-parts")) || Parts("killed-parts").Length < 2)
                await Task.Delay(5, limit.Token);
            process.Kill();
            await process.WaitForExitAsync(limit.Token);
        }
        string[] there = Parts("killed-parts");
        Assert.InRange(there.Length, 2, paths.Length / 2 / 8 - 1);
        string lines = Path.Combine(data.File("killed-parts"), "shard-1-of-2.unfinished");
        Assert.InRange(File.ReadAllLines(lines).Length, there.Length - 1, there.Length);
        // One of the parts is lost, and an unfinished file is left behind.
        File.Delete(there[0]);
        string unfinished = Path.Combine(data.File("killed-parts"), ".part-00000003.jsonl.0123.partial");
        File.WriteAllText(unfinished, "half");
        ToolProcess.Outcome resumed = (await ToolProcess.Run(list, killed)).Expect(0);
        Assert.Contains($"'{there[0]}' is missing or has a different length, so it is written again.", resumed.Error);
        Assert.False(File.Exists(unfinished));
        Assert.False(File.Exists(lines));
        Assert.Equal(Parts("never-killed").Select(Name), Parts("killed-parts").Select(Name));
        Assert.Equal(Together("never-killed"), Together("killed-parts"));
        string journal = File.ReadAllText(Path.Combine(data.File("killed-parts"), "shard-1-of-2.json"));
        Assert.True(JsonDocument.Parse(journal).RootElement.GetProperty("isComplete").GetBoolean());
    }

    [Fact]
    public async Task Parts_of_another_kind_are_not_mixed()
    {
        (await data.Fit()).Expect(0);
        async Task<string> Refused(string list, params string[] more) =>
            Assert.Single(
                (await ToolProcess.Run(list, Predict(["--format", "jsonl", "--output", data.File("kinds"), .. more]))).Expect(2).ErrorLines
            );
        string list = string.Join('\n', Paths.Take(6)) + "\n";
        // A single shard need not know the number of images, and processes them as they arrive.
        (await ToolProcess.Run(list, Predict("--format", "jsonl", "--output", data.File("kinds"), "--part-size", "4"))).Expect(0);
        Assert.Contains("holds parts of this shard: give --resume", await Refused(list, "--part-size", "4"));
        Assert.Contains("were made with another --part-size: 4.", await Refused(list, "--part-size", "2", "--resume"));
        Assert.Contains("were made with another --top: 1.", await Refused(list, "--part-size", "4", "--top", "2", "--resume"));
        string reversed = string.Join('\n', Paths.Take(6).Reverse()) + "\n";
        Assert.Contains("are not the same as before, or not in the same order.", await Refused(reversed, "--part-size", "4", "--resume"));
        string shorter = string.Join('\n', Paths.Take(4)) + "\n";
        Assert.Contains("are not the same as before, or not in the same order.", await Refused(shorter, "--part-size", "4", "--resume"));
    }

    [Theory]
    [InlineData("--shard '5/4' is not a shard: write 1/4 to 4/4", "--format", "csv", "--output", "o", "--shard", "5/4")]
    [InlineData("--shard is for files: name a folder for them with --output.", "--format", "csv", "--shard", "1/4")]
    [InlineData("--resume is for files: name a folder", "--format", "csv", "--resume")]
    [InlineData("--output cannot be used with tables: give --format jsonl or csv.", "--output", "o")]
    [InlineData("--part-size must be at least 1; it is 0.", "--format", "csv", "--output", "o", "--part-size", "0")]
    public async Task What_cannot_be_done_is_told_before_the_model_is_looked_for(string message, params string[] options) =>
        Assert.Contains(message, (await ToolProcess.Run(["predict", "nowhere.zip", "a.png", .. options])).Expect(2).Error);

    private string[] Paths => [.. data.Rows("test").Concat(data.Rows("train")).Select(row => row.Path)];

    private string[] Predict(params string[] more) =>
        ["predict", data.Model, "-", "--batch-size", $"{Batch}", "--progress", "lines", .. more];

    private string[] Parts(string folder) => [.. Directory.GetFiles(data.File(folder), "part-*").Order(StringComparer.Ordinal)];

    private string Together(string folder) => string.Concat(Parts(folder).Select(File.ReadAllText));

    private static string Name(string file) => Path.GetFileNameWithoutExtension(file);
}
