using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Drawing.Tasks;
using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Runs samples/studies/small.json with fewer images and steps, so that its table is made every night.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed partial class SmallStudyTests : IDisposable
{
    private static readonly string[] Kept = ["objects", "sketches"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("Category", "Slow")]
    public async Task Its_table_has_all_that_the_plan_says_and_is_the_same_from_one_process_and_from_shards()
    {
        JsonNode plan = Smaller();
        string file = _folder.File("small.json");
        File.WriteAllText(file, plan.ToJsonString());
        string[] Study(string folder, params string[] more) =>
            ["study", file, "--output", _folder.File(folder), "--jobs", "1", "--quiet", .. more];
        (await ToolProcess.Run(Study("whole"))).Expect(0);
        foreach (string shard in new[] { "2/2", "1/2" })
            (await ToolProcess.Run(Study("shards", "--shard", shard))).Expect(0);
        string table = await Table("whole");
        foreach (string format in new[] { "markdown", "csv", "latex" })
            Assert.Equal(await Table("whole", format), await Table("shards", format));

        string[] methods = [.. plan["parts"]![0]!["methods"]!.AsArray().Select(Name)],
            prompts = [.. plan["methods"]!.AsArray().Select(Name)];
        Assert.Equal(8, methods.Length);
        string[] sections = ("\n" + table).Split("\n## ")[1..];
        string[] titles = [.. sections.Select(section => section.Split('\n')[0])];
        Assert.Equal(
            [
                "few-shot, 1 shot",
                "few-shot, 2 shots",
                "base-to-new, 2 shots, base classes",
                "base-to-new, 2 shots, new classes",
                "base-to-new, 2 shots, harmonic mean of base and new classes",
                "cross-data-set, 2 shots, trained on objects",
                "Minus zero-shot",
                "Cost",
            ],
            titles
        );
        foreach (string section in sections[..^2])
        {
            string[] expected = Named(section, "few-shot") ? methods : prompts;
            foreach (string method in expected)
            {
                string row = section.Split('\n').First(line => line.StartsWith($"| {method} |", StringComparison.Ordinal));
                // Every cell has a figure, so no planned run is missing.
                Assert.All(row.Split('|')[2..^1], cell => Assert.Matches(Figure(), cell));
            }
            Assert.All(Named(section, "cross-data-set") ? ["sketches", "views"] : Kept, data =>
                Assert.Contains(data, section.Split('\n').First(line => line.StartsWith('|')))
            );
        }
        // One line for each method but zero-shot at each number of shots, for the halves and their mean, and for the other data sets.
        Assert.Equal(2 * 7 + 3 * 3 + 3, sections[^2].Split('\n').Count(line => line.Contains(" / ") && !line.Contains("won")));
        Assert.All(methods, method => Assert.Contains($"| {method} |", sections[^1]));
        Assert.DoesNotContain("planned runs are there", table);
    }

    private static bool Named(string section, string protocol) => section.StartsWith(protocol, StringComparison.OrdinalIgnoreCase);

    private static string Name(JsonNode? method) =>
        method!.GetValueKind() == JsonValueKind.String ? (string)method! : (string)method["name"]!;

    private async Task<string> Table(string folder, string format = "markdown") =>
        (await ToolProcess.Run("study", "table", _folder.File(folder), "--format", format, "--no-seconds"))
            .Expect(0)
            .Output.Replace(folder, "folder", StringComparison.Ordinal);

    /// <summary>The sample's protocols and methods, on two of its tasks, with two steps of training.</summary>
    private JsonNode Smaller()
    {
        string sample = Path.Combine(SharedData.RepositoryRoot, "samples", "studies", "small.json");
        string text = File.ReadAllText(sample).Replace("steps=200", "steps=2", StringComparison.Ordinal);
        JsonNode plan = JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip })!;
        JsonArray data = plan["dataSets"]!.AsArray();
        foreach (JsonNode other in data.Where(set => !Kept.Contains((string)set!["name"]!)).ToArray()!)
            data.Remove(other);
        foreach (JsonNode? part in plan["parts"]!.AsArray())
        {
            bool hasDraws = part!["shots"]!.AsArray().Count > 1;
            part["shots"] = hasDraws ? new JsonArray(1, 2) : new JsonArray(2);
            if (!hasDraws)
                part["seeds"] = new JsonArray(1);
        }
        foreach (string name in Kept.Append("views"))
            DrawnTaskFiles.Write(DrawnTasks.Named(name), _folder.File($"drawn/{name}"), 2, 1, 2, seed: 1);
        return plan;
    }

    [GeneratedRegex(@"\d")]
    private static partial Regex Figure();
}
