using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>How a command shows how far it is.</summary>
internal enum ProgressMode
{
    /// <summary>Bars on a terminal, lines elsewhere.</summary>
    Auto,

    /// <summary>Bars that move.</summary>
    Bars,

    /// <summary>One line an epoch.</summary>
    Lines,

    /// <summary>One JSON object a line, at every epoch's end and about once a second.</summary>
    Json,

    /// <summary>Nothing.</summary>
    None,
}

/// <summary>The options that choose it.</summary>
internal sealed class ProgressOptions
{
    private readonly Option<ProgressMode> _mode = new("--progress")
    {
        Description = "How progress is shown on the error stream: bars, lines (one an epoch), json (one object a line, for scripts), none; auto: bars on a terminal, else lines.",
        HelpName = "auto|bars|lines|json|none",
        DefaultValueFactory = _ => ProgressMode.Auto,
    };

    private readonly Option<bool> _quiet = new("--quiet", "-q") { Description = "Shows no progress and no notes, only results, warnings and errors." };

    public IEnumerable<Option> All => [_mode, _quiet];

    /// <summary>Whether notes are unwanted.</summary>
    public bool IsQuiet(ParseResult arguments) => arguments.GetValue(_quiet);

    /// <returns>Never <see cref="ProgressMode.Auto"/>.</returns>
    public ProgressMode Mode(ParseResult arguments) => IsQuiet(arguments) ? ProgressMode.None : arguments.GetValue(_mode) switch
    {
        ProgressMode.Auto => Terminal.Error.Profile.Capabilities.Interactive && !Console.IsErrorRedirected ? ProgressMode.Bars : ProgressMode.Lines,
        var mode => mode,
    };
}
