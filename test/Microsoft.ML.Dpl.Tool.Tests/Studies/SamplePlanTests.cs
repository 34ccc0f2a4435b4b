using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>The plans in samples/studies, and a study of photographs.</summary>
public sealed class SamplePlanTests
{
    [Theory]
    [InlineData("paper.json", 2952)]
    [InlineData("small.json", 207)]
    public void Sample_plans_can_be_read_and_their_methods_used(string name, int runs)
    {
        var plan = StudyPlan.Read(Path.Combine(SharedData.RepositoryRoot, "samples", "studies", name));
        Assert.Equal(runs, plan.Runs.Count);
        foreach (PlanMethod method in plan.Parts.SelectMany(part => part.Methods))
            method.Method.Check(ClipBackbone.TinyDrawn);
    }

    [SkippableFact]
    [Trait("Category", "Slow")]
    public async Task Tables_of_draws_with_a_place_for_the_seed_are_read()
    {
        string clip = SharedData.Require("surrogate-clip");
        using var folder = new TemporaryFolder();
        string Set(string name, string template)
        {
            string at = SharedData.Require(Path.Combine("data", name));
            string Path_(string file) => JsonSerializer.Serialize(Path.Combine(at, file));
            return $$"""
                { "name": "{{name}}", "train": {{Path_("shot16-seed{seed}.train.tsv")}}, "validation": {{Path_(
                    "shot16-seed{seed}.val.tsv"
                )}},
                  "test": {{Path_("test.tsv")}}, "template": "{{template}}" }
                """;
        }
        string plan = folder.File("plan.json");
        File.WriteAllText(
            plan,
            $$"""
            { "clip": {{JsonSerializer.Serialize(clip)}}, "threads": 2, "protocol": "few-shot", "seeds": [2], "methods": ["zero-shot"],
              "dataSets": [ {{Set("caltech101", "a photo of a {}.")}}, {{Set("eurosat", "a centered satellite photo of {}.")}},
                {{Set("flowers102", "a photo of a {}, a type of flower.")}} ] }
            """
        );
        (await ToolProcess.Run("study", plan, "--output", folder.File("results"), "--jobs", "1", "--quiet")).Expect(0);
        (int Classes, int Images, double Accuracy) Of(string name)
        {
            JsonNode test = JsonNode.Parse(File.ReadAllText(folder.File($"results/few-shot/{name}/seed-2.zero-shot.json")))!["tests"]![0]!;
            return ((int)test["classes"]!, (int)test["images"]!, (double)test["right"]! / (int)test["images"]!);
        }
        Assert.Equal((100, 2465), (Of("caltech101").Classes, Of("caltech101").Images));
        Assert.Equal((10, 1000), (Of("eurosat").Classes, Of("eurosat").Images));
        Assert.Equal((102, 1020), (Of("flowers102").Classes, Of("flowers102").Images));
        // As measured by dpl zeroshot, see docs/EVIDENCE.md; another processor may round an image to another class.
        Assert.Equal("0.09", Of("eurosat").Accuracy.ToString("f2", CultureInfo.InvariantCulture));
    }
}
