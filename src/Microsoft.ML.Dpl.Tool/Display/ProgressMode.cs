using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Options;

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

    /// <summary>One JSON object a line, at every epoch's end and about once a second; messages are objects, too.</summary>
    Json,

    /// <summary>Nothing.</summary>
    None,
}

/// <summary>The options that choose it.</summary>
internal sealed class ProgressOptions
{
    private readonly ChoiceOption<ProgressMode> _mode = new(
        "--progress",
        "How progress is shown on the error stream: bars, lines (one an epoch), json (one object a line, messages too, for scripts), "
            + "none; auto: bars on a terminal, else lines.",
        ProgressMode.Auto
    );

    private readonly Option<bool> _quiet = new("--quiet", "-q")
    {
        Description = "Shows no progress and no notes, only results, warnings and errors.",
    };

    public void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_mode);
        command.Options.Add(_quiet);
    }

    /// <summary>Sets what <see cref="Terminal"/> goes by; a command's first act, so that everything it says has the form that was asked
    /// for.</summary>
    /// <returns>Never <see cref="ProgressMode.Auto"/>.</returns>
    public ProgressMode Choose(ParseResult arguments) =>
        Terminal.Mode = arguments.GetValue(_quiet)
            ? ProgressMode.None
            : _mode.Read(arguments) switch
            {
                ProgressMode.Auto => Terminal.HasMovingError ? ProgressMode.Bars : ProgressMode.Lines,
                var mode => mode,
            };
}
