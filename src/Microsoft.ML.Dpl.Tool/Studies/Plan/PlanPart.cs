using Microsoft.ML.Dpl.Tool.Studies.Methods;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>A method of a plan.</summary>
/// <param name="Name">Name in results and tables.</param>
/// <param name="Text">The text that <see cref="StudyMethods"/> parses.</param>
/// <param name="Method">The method parsed from the text.</param>
/// <param name="Where">The property of the plan, for messages.</param>
internal sealed record PlanMethod(string Name, string Text, IStudyMethod Method, PlanNode Where)
{
    /// <param name="node">A text, or an object with name and method.</param>
    /// <param name="resNet18">Folder of ML.NET's ResNet-18; null if the plan does not name it.</param>
    public static PlanMethod Read(PlanNode node, string? resNet18)
    {
        PlanNode text = node.IsText ? node : node.Require("method", "\"uniform:4\"");
        string name = node.IsText ? node.Text() : node.Require("name", "\"DPL\"").Text();
        if (!node.IsText)
            node.RequireNoOthers();
        // Runs of spaces are equivalent to a single space.
        string words = string.Join(' ', text.Text().Split(' ', StringSplitOptions.RemoveEmptyEntries));
        try
        {
            return new PlanMethod(node.IsText ? words : name, words, StudyMethods.Parse(words, resNet18), node);
        }
        catch (FormatException e)
        {
            throw text.Wrong($"is not a method: {e.Message}");
        }
    }
}

/// <summary>Data sets × shots × seeds × methods of one protocol.</summary>
/// <param name="Protocol">The protocol, which defines what is trained and what is tested.</param>
/// <param name="Source">The data set to train on, if the protocol has a single one; null: train on each of
/// <paramref name="DataSets"/>.</param>
/// <param name="DataSets">The data sets to test on.</param>
/// <param name="Shots">Numbers of training images per class; null: all images.</param>
/// <param name="Seeds">Seeds of the draws and the fits.</param>
/// <param name="Methods">The methods, with distinct names.</param>
internal sealed record PlanPart(
    IStudyProtocol Protocol,
    PlanDataSet? Source,
    IReadOnlyList<PlanDataSet> DataSets,
    IReadOnlyList<int?> Shots,
    IReadOnlyList<int> Seeds,
    IReadOnlyList<PlanMethod> Methods
)
{
    /// <param name="part">The part.</param>
    /// <param name="whole">The plan, whose values are the defaults for properties that the part does not have; an explicit null in the part
    /// overrides them. The part itself if the plan has no parts.</param>
    /// <param name="planFolder">Folder that relative paths are resolved against.</param>
    /// <param name="root">Folder of the known data sets; null if none is given.</param>
    public static PlanPart Read(PlanNode part, PlanNode whole, string planFolder, string? root)
    {
        PlanNode? Get(string name)
        {
            // Always read the plan's property, so that it counts as known even if every part overrides it.
            PlanNode? ofAll = whole.Get(name);
            return part.Get(name) is { } own ? own
                : part.Has(name) ? null
                : ofAll;
        }
        PlanNode Require(string name, string example) => Get(name) ?? throw part.Wrong($"lacks '{name}': give one, such as {example}.");
        PlanDataSet DataSet(PlanNode node) => PlanDataSet.Read(node, planFolder, root);

        PlanNode named = Require("protocol", $"\"{StudyProtocols.All[0].Name}\"");
        IStudyProtocol protocol = StudyProtocols.All.FirstOrDefault(known => known.Name == named.Text())
            ?? throw named.Wrong(
                $"is '{named.Text()}', which is not a protocol; known: {string.Join(", ", StudyProtocols.All.Select(known => known.Name))}."
            );
        PlanNode? source = Get("source");
        if (source is not null && !protocol.HasSource)
            // A source of the whole plan applies only to the parts whose protocol has one.
            source = part.Has("source") ? throw source.Wrong($"has no meaning with the protocol {protocol.Name}: leave it out.") : null;
        string? resNet18 = Get("resnet18") is { } network ? Path.GetFullPath(network.Text(), planFolder) : null;
        IReadOnlyList<PlanNode> methods = Require("methods", "[\"zero-shot\", \"default\"]").Items();
        var made = new PlanPart(
            protocol,
            source is null ? null : DataSet(source),
            [.. Require("dataSets", "[\"caltech101\", \"eurosat\"]").Items().Select(DataSet)],
            Get("shots") is { } shots ? [.. shots.Items().Select(each => (int?)each.Number(least: 1))] : [null],
            [.. Require("seeds", "[1, 2, 3]").Items().Select(each => each.Number(least: 0))],
            [.. methods.Select(method => PlanMethod.Read(method, resNet18))]
        );
        if (protocol.HasSource && source is null)
            throw part.Wrong($"lacks 'source': the protocol {protocol.Name} trains on one data set, such as \"imagenet\".");
        if (made.Methods.GroupBy(method => method.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw part.Wrong($"has two methods named '{twice.Key}': give one of them another name, as {{\"name\": …, \"method\": …}}.");
        // Runs of a transfer protocol are named by their source, so two tests of the same name would not be noticed otherwise.
        if (
            made.Source is not null
            && made
                .DataSets.Prepend(made.Source)
                .GroupBy(data => data.Name, StringComparer.Ordinal)
                .FirstOrDefault(group => group.Count() > 1)
                is { } same
        )
            throw part.Wrong(
                $"tests '{same.Key}' twice: its source is tested without being among its dataSets, and each of these needs another name."
            );
        made.RequireUsable();
        return made;
    }

    private void RequireUsable()
    {
        foreach (PlanDataSet data in Source is null ? DataSets : [Source])
            if (data.IsForTestsOnly)
                throw Methods[0].Where.Wrong($"cannot be trained on '{data.Name}', which has test images only: test it by domain-shift.");
        foreach (PlanMethod method in Methods)
            if (Protocol.AsksForNewClasses && !method.Method.KnowsNewClasses)
                throw method.Where.Wrong(
                    $"('{method.Name}') knows only the classes that it was trained on, and the protocol {Protocol.Name} asks for others: "
                        + "leave it out there."
                );
    }
}
