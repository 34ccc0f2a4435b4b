using System.CommandLine;
using System.CommandLine.Invocation;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>Reports what is wrong with a command line in a few lines, in the user's terms.</summary>
internal static partial class ParseFailure
{
    private const string NoCommand = "Required command was not provided.";

    public static ExitCode Report(ParseResult arguments, ParseErrorAction refusal)
    {
        // If the subcommand is missing, the help lists the available ones.
        bool isUnfinished = arguments.CommandResult.Command.Subcommands.Count > 0 && arguments.UnmatchedTokens.Count == 0;
        (refusal.ShowHelp, refusal.ShowTypoCorrections) = (isUnfinished, true);
        using var said = new StringWriter();
        arguments.Invoke(new InvocationConfiguration { Output = said, Error = said });
        string text = KindOfValue()
            .Replace(said.ToString(), match =>
                match.Groups["kind"].Value.StartsWith("Int", StringComparison.Ordinal) ? "as a whole number" : "as a number"
            );
        // A misspelt subcommand is reported anyway, so do not also report it as missing.
        if (!isUnfinished)
            text = text.Replace($"{NoCommand}{Environment.NewLine}", "", StringComparison.Ordinal);
        Terminal.ErrorLines(text.Trim());
        if (!isUnfinished)
            Terminal.Note($"{CommandPath(arguments)} --help lists what can be given.");
        return ExitCode.BadInput;
    }

    private static string CommandPath(ParseResult arguments)
    {
        var names = new Stack<string>();
        for (
            System.CommandLine.Command? at = arguments.CommandResult.Command;
            at is not null;
            at = at.Parents.OfType<System.CommandLine.Command>().FirstOrDefault()
        )
            names.Push(at is RootCommand ? "dpl" : at.Name);
        return string.Join(' ', names);
    }

    [GeneratedRegex(@"as expected type '(?:System\.Nullable`1\[)?System\.(?<kind>Int32|Int64|Double)(?:\[\])?\]?'")]
    private static partial Regex KindOfValue();
}
