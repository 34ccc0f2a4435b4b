using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The files that a fit writes, tried before it begins.</summary>
/// <param name="Main">The model, or the configuration.</param>
/// <param name="Results">Everything about the run as JSON; null where it is not wanted.</param>
internal sealed record OutputFiles(OutputFile Main, OutputFile? Results);

/// <summary>Where they go.</summary>
internal sealed class OutputOptions
{
    private const string Nothing = "none";

    private readonly Option<string> _output;
    private readonly Option<string?> _json = new("--json") { Description = "Where the results go as JSON: options, versions, data, every epoch, every test prediction. Default: beside the output, as NAME.results.json; none: nowhere.", HelpName = "file|none" };

    /// <param name="what">What the output is.</param>
    /// <param name="standard">Its file where none is named.</param>
    public OutputOptions(string what, string standard) => _output = new Option<string>("--output", "-o") { Description = $"Where {what} goes; a file there is replaced once the new one is whole.", DefaultValueFactory = _ => standard };

    public void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_output);
        command.Options.Add(_json);
    }

    /// <exception cref="IOException">A file cannot be written.</exception>
    /// <exception cref="ArgumentException">Two of them are the same.</exception>
    public OutputFiles Check(ParseResult arguments)
    {
        string output = arguments.GetRequiredValue(_output);
        OutputFile main = OutputFile.Check(output, "--output");
        string json = arguments.GetValue(_json) ?? Path.ChangeExtension(output, ".results.json");
        OutputFile? results = json == Nothing ? null : OutputFile.Check(json, "--json");
        if (results?.FullPath == main.FullPath) throw new ArgumentException($"--output and --json are both '{main.FullPath}': give them different names.");
        return new OutputFiles(main, results);
    }
}
