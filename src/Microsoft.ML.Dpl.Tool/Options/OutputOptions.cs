using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The files that a fit writes, checked for writability before it starts.</summary>
/// <param name="Main">The model, or the configuration.</param>
/// <param name="Results">Everything about the run as JSON; null if it is not wanted.</param>
/// <param name="Report">The HTML report; null if it is not wanted or the command has none.</param>
/// <param name="ResultsAreOutput">Whether the JSON results are printed instead of tables.</param>
internal sealed record OutputFiles(OutputFile Main, OutputFile? Results, OutputFile? Report, bool ResultsAreOutput);

/// <summary>The options for the files that a fit writes.</summary>
internal sealed class OutputOptions
{
    private const string Nothing = "none";

    // What follows a point in other names, such as lr0.001, may be part of a number.
    private static readonly string[] Extensions = [".zip", ".json"];

    private readonly Option<string> _output;
    private readonly JsonOption _json = new(
        "the results (options, versions, data, every epoch, every test prediction)",
        "beside the output, as NAME.results.json"
    );

    private readonly Option<string?>? _report;

    /// <param name="what">Describes the output, for the help text.</param>
    /// <param name="standard">The default output file.</param>
    /// <param name="hasReport">Whether the command also writes an HTML report; only of a model there is one.</param>
    public OutputOptions(string what, string standard, bool hasReport = false)
    {
        _output = new Option<string>("--output", "-o")
        {
            HelpName = "file",
            Description = $"File for {what}; an existing one is replaced once the new one is complete.",
            DefaultValueFactory = _ => standard,
        };
        if (hasReport)
            _report = new Option<string?>("--report")
            {
                Description =
                    "File for the report, one HTML page: warnings, accuracy, finalists, alphas, curves, confusions, the worst mistakes "
                    + "with heat maps. Default: beside the output, as NAME.report.html; none: no report.",
                HelpName = "file|none",
            };
    }

    public void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_output);
        _json.AddTo(command);
        if (_report is not null)
            command.Options.Add(_report);
    }

    /// <param name="arguments">The command line.</param>
    /// <param name="inputs">Files and folders that the command reads.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    /// <exception cref="ArgumentException">Two of the files are the same, one is an input, or the default file for the results has those of
    /// another command or model.</exception>
    public OutputFiles Check(ParseResult arguments, params IEnumerable<string> inputs)
    {
        string output = arguments.GetRequiredValue(_output);
        string[] read = [.. inputs];
        OutputFile? Report(Option<string?> option)
        {
            string path = arguments.GetValue(option) ?? Beside(output, ".report.html");
            return path == Nothing ? null : OutputFile.Check(path, option.Name, read);
        }
        OutputFile main = OutputFile.Check(output, "--output", read);
        OutputFile? results = _json.File(arguments, Beside(output, ".results.json"), read),
            report = _report is null ? null : Report(_report);
        (string Option, OutputFile? File)[] files = [("--output", main), ("--json", results), ("--report", report)];
        if (files.Where(f => f.File is not null).GroupBy(f => f.File!.FullPath).FirstOrDefault(group => group.Count() > 1) is { } same)
            throw new ArgumentException(
                $"{string.Join(" and ", same.Select(f => f.Option))} are both '{same.Key}': give them different names."
            );
        if (results is not null && !_json.IsGiven(arguments) && File.Exists(results.FullPath))
            RequireOwn(results.FullPath, _report is null ? null : Path.GetFileName(output));
        return new OutputFiles(main, results, report, _json.IsOutput(arguments));
    }

    /// <summary>The path of a file beside the output, under its name without the extension of a model or configuration.</summary>
    private static string Beside(string output, string ending) =>
        Extensions.Contains(Path.GetExtension(output), StringComparer.OrdinalIgnoreCase)
            ? Path.ChangeExtension(output, ending)
            : output + ending;

    /// <summary>Checks that results which are about to be replaced are those of an earlier run of the same kind.</summary>
    /// <param name="file">The existing file.</param>
    /// <param name="model">Name of the model's file; null if the command only searches. The folder does not count, since it may have been
    /// moved.</param>
    private static void RequireOwn(string file, string? model)
    {
        FitResults there;
        try
        {
            there = ResultsJson.ReadFile(file);
        }
        catch (FormatException e)
        {
            throw new ArgumentException(
                $"The results would replace a file that holds none: {e.Message.TrimEnd('.')}. Move it away, or name another file with "
                    + "--json.",
                e
            );
        }
        if (string.Equals(Path.GetFileName(there.ModelPath), model, StringComparison.OrdinalIgnoreCase))
            return;
        string other = there.ModelPath is null ? "a search" : $"the model '{there.ModelPath}'";
        throw new ArgumentException(
            $"The results would replace '{file}', which has those of {other}: name another file with --json, or another --output."
        );
    }
}
