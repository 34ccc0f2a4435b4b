using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>How a command shows its progress.</summary>
internal enum ProgressMode
{
    /// <summary>Bars on a terminal, otherwise lines.</summary>
    Auto,

    /// <summary>Animated progress bars.</summary>
    Bars,

    /// <summary>One line per epoch.</summary>
    Lines,

    /// <summary>One JSON object per line, at the end of every epoch and about once a second; messages are objects, too.</summary>
    Json,

    /// <summary>No progress.</summary>
    None,
}

/// <summary>The options that choose the progress mode.</summary>
internal sealed class ProgressOptions
{
    private readonly ChoiceOption<ProgressMode> _mode = new(
        "--progress",
        "How progress is shown on the error stream: bars, lines (one per epoch), json (one object per line, messages too, for scripts), "
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

    /// <summary>Sets <see cref="Terminal.Mode"/>. A command calls this first, so that all its messages have the requested form.</summary>
    /// <returns>The mode; never <see cref="ProgressMode.Auto"/>.</returns>
    public ProgressMode Choose(ParseResult arguments) =>
        Terminal.Mode = arguments.GetValue(_quiet)
            ? ProgressMode.None
            : _mode.Read(arguments) switch
            {
                ProgressMode.Auto => Terminal.HasMovingError ? ProgressMode.Bars : ProgressMode.Lines,
                var mode => mode,
            };
}
