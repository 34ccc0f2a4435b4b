using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.DataSets;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Options that describe a study with a single part. They are written to a plan file, which is needed anyway to resume the study,
/// to show it or to run it on a cluster.</summary>
internal sealed class PlanOptions
{
    private static readonly JsonSerializerOptions Form = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly Option<string?> _clip = new("--clip")
    {
        Description = "Writes the plan from these options before running it. " + BackboneArgument.Description,
        HelpName = "CLIP",
    };
    private readonly Option<string?> _protocol = new("--protocol")
    {
        Description = $"{string.Join(", ", StudyProtocols.All.Select(protocol => protocol.Name))}. Default: {StudyProtocols.All[0].Name}.",
        HelpName = "protocol",
    };
    private readonly Option<string?> _source = new("--source")
    {
        Description = "The data set to train on, for protocols that have one.",
        HelpName = "data set",
    };
    private readonly Option<string[]> _dataSets = List<string>(
        "--data-sets",
        "Known ones by name, which --data contains, and your own as NAME=PATH, a folder or table with test images, or NAME=TRAIN,TEST, two "
            + "of them.",
        "data sets"
    );
    private readonly Option<string[]> _methods = List<string>("--methods", "For instance zero-shot uniform:4 default.", "methods");
    private readonly Option<int[]> _shots = List<int>("--shots", "Training images of each class. Default: all.", "numbers");
    private readonly Option<int[]> _seeds = List<int>("--seeds", "Seeds of the draws and of the fits. Default: 1 2 3.", "numbers");
    private readonly Option<int?> _threads = new("--threads") { Description = "Threads of each run. Default: 1.", HelpName = "number" };
    private readonly Option<string?> _device = new("--device") { Description = "cpu, cuda or cuda:n. Default: cpu.", HelpName = "device" };

    public PlanOptions()
    {
        _clip.CompletionSources.Add(BackboneArgument.Names);
        _protocol.CompletionSources.Add([.. StudyProtocols.All.Select(protocol => protocol.Name)]);
        _dataSets.CompletionSources.Add([.. KnownDataSets.All.Select(known => known.Name)]);
    }

    private IEnumerable<Option> All => [_clip, _protocol, _source, _dataSets, _methods, _shots, _seeds, _threads, _device];

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in All)
            command.Options.Add(option);
    }

    /// <summary>Writes the plan that the options describe; if the file already exists, checks that it has the same content.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="file">The plan's file.</param>
    /// <param name="data">Folder of the known data sets; null if none is given.</param>
    /// <returns>Whether a plan was written.</returns>
    /// <exception cref="ArgumentException">An option is given without others that it needs, or the existing plan differs.</exception>
    /// <exception cref="IOException">The plan cannot be written.</exception>
    public bool Write(ParseResult arguments, string file, string? data)
    {
        Option[] given = [.. All.Where(arguments.IsGiven)];
        if (given.Length == 0)
            return false;
        foreach (Option needed in new Option[] { _clip, _dataSets, _methods })
            if (!given.Contains(needed))
                throw new ArgumentException($"{given[0].Name} makes a plan of the options, which also needs {needed.Name}.");
        string text = Compose(arguments, data).ToJsonString(Form) + "\n";
        if (!File.Exists(file))
        {
            OutputFile.Check(file, "The plan").Write(path => File.WriteAllText(path, text));
            return true;
        }
        return File.ReadAllText(file).ReplaceLineEndings("\n") == text
            ? false
            : throw new ArgumentException(
                $"The plan '{file}' already exists and differs from {string.Join(", ", given.Select(option => option.Name))}: leave these "
                    + "out to run it as it is, or name another file."
            );
    }

    private JsonObject Compose(ParseResult arguments, string? data)
    {
        string clip = arguments.GetRequiredValue(_clip)!;
        // Paths in a plan are relative to the plan's folder, those on the command line to the current folder.
        var plan = new JsonObject { ["clip"] = Path.Exists(clip) ? Path.GetFullPath(clip) : clip };
        if (data is not null)
            plan["data"] = Path.GetFullPath(data);
        if (arguments.GetValue(_device) is { } device)
            plan["device"] = device;
        if (arguments.GetValue(_threads) is int threads)
            plan["threads"] = threads;
        plan["protocol"] = arguments.GetValue(_protocol) ?? StudyProtocols.All[0].Name;
        if (arguments.GetValue(_source) is { } source)
            plan["source"] = DataSet(source);
        plan["dataSets"] = new JsonArray([.. arguments.GetValue(_dataSets)!.Select(DataSet)]);
        plan["methods"] = new JsonArray([.. arguments.GetValue(_methods)!.Select(method => (JsonNode)method)]);
        if (arguments.GetValue(_shots) is { Length: > 0 } shots)
            plan["shots"] = new JsonArray([.. shots.Select(number => (JsonNode)number)]);
        int[] seeds = arguments.GetValue(_seeds) is { Length: > 0 } named ? named : [1, 2, 3];
        plan["seeds"] = new JsonArray([.. seeds.Select(number => (JsonNode)number)]);
        return plan;
    }

    private static JsonNode DataSet(string named)
    {
        if (named.Split('=', 2) is not [{ Length: > 0 } name, { Length: > 0 } paths])
            return named;
        // A path may itself contain a comma.
        string[] parts = Path.Exists(paths) ? [paths] : paths.Split(',', 2);
        var own = new JsonObject { ["name"] = name, ["train"] = Path.GetFullPath(parts[0]) };
        if (parts.Length == 2)
            own["test"] = Path.GetFullPath(parts[1]);
        return own;
    }

    private static Option<T[]> List<T>(string name, string description, string of) =>
        new(name)
        {
            Description = description,
            HelpName = of,
            AllowMultipleArgumentsPerToken = true,
        };
}
