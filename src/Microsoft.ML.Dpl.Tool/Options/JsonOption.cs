using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary><c>--json</c>, which means the same in every command: where the results are written as JSON.</summary>
internal sealed class JsonOption
{
    private const string Nothing = "none",
        StandardOutput = "-";

    private readonly Option<string?> _option;

    /// <param name="what">Describes the results, for the help text.</param>
    /// <param name="standard">Describes where the results go by default, for the help text.</param>
    public JsonOption(string what, string standard) =>
        _option = new Option<string?>("--json")
        {
            Description =
                $"Where to write {what} as JSON: a file; - or no value: the standard output, in place of tables; none: nowhere. Default: "
                + $"{standard}.",
            HelpName = "file|-|none",
            Arity = ArgumentArity.ZeroOrOne,
        };

    public void AddTo(System.CommandLine.Command command) => command.Options.Add(_option);

    /// <summary>Whether the option was given.</summary>
    public bool IsGiven(ParseResult arguments) => arguments.IsGiven(_option);

    /// <summary>Whether the results go to the standard output.</summary>
    public bool IsOutput(ParseResult arguments) => Value(arguments) == StandardOutput;

    /// <summary>The file for the results, checked for writability before any work begins; null if they are not written to a file.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="standard">The default file; null: none.</param>
    /// <param name="inputs">Files and folders that the command reads.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ArgumentException">The file is one of the inputs.</exception>
    public OutputFile? File(ParseResult arguments, string? standard, IEnumerable<string> inputs) =>
        (Value(arguments) ?? standard) is { } path && path is not (Nothing or StandardOutput)
            ? OutputFile.Check(path, _option.Name, inputs)
            : null;

    private string? Value(ParseResult arguments) =>
        arguments.GetResult(_option) is { Implicit: false } given ? given.GetValueOrDefault<string?>() ?? StandardOutput : null;
}
