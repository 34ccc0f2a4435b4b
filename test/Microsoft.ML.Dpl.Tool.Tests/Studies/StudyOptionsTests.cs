using System.Text.Json.Nodes;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Studies described by options instead of a plan.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class StudyOptionsTests(DrawnData data)
{
    [Fact]
    public async Task They_are_written_as_a_plan_and_run()
    {
        string plan = data.File("by-options.json");
        string[] study =
        [
            .. Study(plan, "--methods", "zero-shot", "nearest-mean", "--shots", "1", "2", "--seeds", "4", "5"),
            "--threads",
            "1",
            "--jobs",
            "1",
        ];
        ToolProcess.Outcome done = (await ToolProcess.Run(study)).Expect(0);
        Assert.Contains("by-options.results", done.Error);
        JsonNode written = JsonNode.Parse(File.ReadAllText(plan))!;
        JsonNode expected = new JsonObject
        {
            ["clip"] = "tiny-drawn",
            ["threads"] = 1,
            ["protocol"] = "few-shot",
            ["dataSets"] = new JsonArray(new JsonObject { ["name"] = "lighting", ["train"] = data.File("lighting") }),
            ["methods"] = new JsonArray("zero-shot", "nearest-mean"),
            ["shots"] = new JsonArray(1, 2),
            ["seeds"] = new JsonArray(4, 5),
        };
        Assert.True(JsonNode.DeepEquals(expected, written), written.ToJsonString());
        // Four runs of nearest-mean, and one of zero-shot, which learns nothing.
        Assert.Equal(
            5,
            Directory.GetFiles(data.File("by-options.results"), "*.seed-*.json", SearchOption.AllDirectories).Length
                + Directory.GetFiles(data.File("by-options.results"), "zero-shot*.json", SearchOption.AllDirectories).Length
        );

        // The same options, and the plan by itself, continue the study; other options are another study.
        foreach (string[] again in new[] { study, ["study", plan, "--jobs", "1"] })
            Assert.Contains("5 of 5 runs were done before.", (await ToolProcess.Run(again)).Expect(0).Error);
        string[] other = Study(plan, "--methods", "zero-shot");
        Assert.Contains(
            "already exists and differs from --clip, --data-sets, --methods: leave these out to run it as it is, or name another file.",
            Assert.Single((await ToolProcess.Run(other)).Expect(2).ErrorLines)
        );
    }

    [Fact]
    public async Task A_plan_that_cannot_be_run_is_not_kept()
    {
        string plan = data.File("not-kept.json");
        Assert.Contains("is not a method", (await ToolProcess.Run(Study(plan, "--methods", "uniform"))).Expect(2).Error);
        Assert.False(File.Exists(plan));
        string[] half = ["study", plan, "--clip", "tiny-drawn", "--methods", "zero-shot"];
        Assert.Contains(
            "--clip makes a plan of the options, which also needs --data-sets.",
            Assert.Single((await ToolProcess.Run(half)).Expect(2).ErrorLines)
        );
        Assert.False(File.Exists(plan));
    }

    [Fact]
    public async Task Test_images_are_named_behind_those_of_training()
    {
        string plan = data.File("two-paths.json");
        string[] Study(string paths) =>
            ["study", plan, "--clip", "tiny-drawn", "--data-sets", paths, "--methods", "zero-shot", "--seeds", "1", "--jobs", "1"];
        string train = data.Table("train"),
            test = data.Table("test");
        Assert.Contains("has no images for its test", (await ToolProcess.Run(Study($"land={train}"))).Expect(2).Error);
        Assert.False(File.Exists(plan));
        (await ToolProcess.Run(Study($"land={train},{test}"))).Expect(0);
        JsonNode own = JsonNode.Parse(File.ReadAllText(plan))!["dataSets"]![0]!;
        Assert.Equal(("land", train, test), ((string?)own["name"], (string?)own["train"], (string?)own["test"]));
    }

    [Fact]
    public async Task A_shard_says_that_its_own_results_are_there()
    {
        string[] study =
        [
            .. Study(data.File("by-shards.json"), "--methods", "zero-shot", "nearest-mean", "--shots", "1", "--seeds", "1"),
            "--threads",
            "1",
            "--jobs",
            "1",
        ];
        string shard = (await ToolProcess.Run([.. study, "--shard", "2/2"])).Expect(0).Error;
        Assert.Contains("The results of shard 2/2 are in '", shard);
        Assert.DoesNotContain("All results", shard);
        Assert.Contains("All results are in '", (await ToolProcess.Run(study)).Expect(0).Error);
    }

    private string[] Study(string plan, params string[] more) =>
        ["study", plan, "--clip", "tiny-drawn", "--data-sets", $"lighting={data.File("lighting")}", .. more];
}
