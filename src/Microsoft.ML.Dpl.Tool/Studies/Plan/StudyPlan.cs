using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>The plan of a study, read from a JSON file that may contain // comments.</summary>
/// <param name="File">The plan's file.</param>
/// <param name="Clip">The CLIP in the form that --clip accepts.</param>
/// <param name="Device">cpu, cuda or cuda:n.</param>
/// <param name="Threads">Number of threads of each run, however many runs are executed in parallel, since results depend on it in their
/// last bits.</param>
/// <param name="Runs">All runs, in the order of execution.</param>
/// <param name="Parts">The parts that the runs were generated from.</param>
internal sealed record StudyPlan(
    string File,
    string Clip,
    string Device,
    int Threads,
    IReadOnlyList<PlanPart> Parts,
    IReadOnlyList<StudyRun> Runs
)
{
    /// <param name="file">The plan's file.</param>
    /// <param name="data">The folder of the known data sets, overriding the plan's; null: taken from the plan.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">Something in the plan is invalid; the message names the property.</exception>
    public static StudyPlan Read(string file, string? data = null)
    {
        if (!System.IO.File.Exists(file))
            throw new FileNotFoundException($"There is no plan '{file}'.", file);
        using JsonDocument document = Parse(file);
        var node = new PlanNode(file, "", document.RootElement);
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        string clip = node.Require("clip", "\"ViT-B/16\"").Text();
        string? root = node.Get("data")?.Text();
        if (data is not null)
            root = Path.GetFullPath(data);
        string device = ReadDevice(node.Get("device"));
        int threads = node.Get("threads")?.Number(least: 1) ?? 1;
        PlanNode? parts = node.Get("parts");
        PlanPart[] made = parts is null
            ? [PlanPart.Read(node, node, folder, root)]
            : [.. parts.Items().Select(part => Part(part, node, folder, root))];
        node.RequireNoOthers();
        if (node.Get("source") is { } source && !made.Any(part => part.Protocol.HasSource))
            throw source.Wrong("has no meaning with the protocol of any part: leave it out.");
        var plan = new StudyPlan(
            file,
            Path.Exists(Path.GetFullPath(clip, folder)) ? Path.GetFullPath(clip, folder) : clip,
            device,
            threads,
            made,
            [.. made.SelectMany(StudyRun.From)]
        );
        if (plan.Runs.GroupBy(run => run.FileName, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } same)
            throw node.Wrong($"has the run '{same.First()}' twice: leave it out of one part, or give the data set or method another name.");
        return plan;
    }

    private static string ReadDevice(PlanNode? node)
    {
        if (node is null)
            return "cpu";
        string name = node.Text();
        return DeviceName.TryParse(name, unnumbered: 0, out _)
            ? name
            : throw node.Wrong($"is '{name}', which is not a device: use {DeviceName.Choices}.");
    }

    private static PlanPart Part(PlanNode part, PlanNode whole, string folder, string? root)
    {
        PlanPart made = PlanPart.Read(part, whole, folder, root);
        part.RequireNoOthers();
        return made;
    }

    private static JsonDocument Parse(string file)
    {
        try
        {
            return JsonDocument.Parse(
                StrictText.Read(file),
                new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }
            );
        }
        catch (JsonException e)
        {
            throw new InvalidDataException(
                $"The plan '{file}' is not JSON: {e.Message.TrimEnd('.')}. Correct line {(e.LineNumber ?? 0) + 1}.",
                e
            );
        }
    }
}
