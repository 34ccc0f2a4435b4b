using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary><c>--json</c>, which means the same in every verb: where the results go as JSON.</summary>
internal sealed class JsonOption
{
    private const string Nothing = "none",
        StandardOutput = "-";

    private readonly Option<string?> _option;

    /// <param name="what">What the results are.</param>
    /// <param name="standard">Where they go without the option.</param>
    public JsonOption(string what, string standard) =>
        _option = new Option<string?>("--json")
        {
            Description =
                $"Where {what} go as JSON: a file; - or no value: the standard output, in place of tables; none: nowhere. Default: "
                + $"{standard}.",
            HelpName = "file|-|none",
            Arity = ArgumentArity.ZeroOrOne,
        };

    public void AddTo(System.CommandLine.Command command) => command.Options.Add(_option);

    /// <summary>Whether they go to the standard output.</summary>
    public bool IsOutput(ParseResult arguments) => Value(arguments) == StandardOutput;

    /// <summary>Their file, tried before any work begins; null where they go to none.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="standard">The file where the option is not given; null: none.</param>
    /// <param name="inputs">What the command reads.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="ArgumentException">It is one of the inputs.</exception>
    public OutputFile? File(ParseResult arguments, string? standard, IEnumerable<string> inputs) =>
        (Value(arguments) ?? standard) is { } path && path is not (Nothing or StandardOutput)
            ? OutputFile.Check(path, _option.Name, inputs)
            : null;

    private string? Value(ParseResult arguments) =>
        arguments.GetResult(_option) is { Implicit: false } given ? given.GetValueOrDefault<string?>() ?? StandardOutput : null;
}
