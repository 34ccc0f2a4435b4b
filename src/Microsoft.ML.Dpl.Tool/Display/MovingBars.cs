using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Live progress bars on the error stream, wider on wide terminals.</summary>
internal static class MovingBars
{
    private const int WideTerminal = 100,
        WideBar = 30,
        NarrowBar = 10,
        Percentage = 4,
        Gaps = 3;

    /// <summary>Number of characters left for the text before a bar.</summary>
    public static int TextWidth => Terminal.Error.Profile.Width - BarWidth - Percentage - Gaps;

    private static int BarWidth => Terminal.Error.Profile.Width >= WideTerminal ? WideBar : NarrowBar;

    /// <param name="run">The work; called with the context to add bars to.</param>
    public static T Show<T>(Func<ProgressContext, T> run) =>
        Terminal
            .Error.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn { Width = BarWidth },
                new PercentageColumn()
            )
            .Start(run);
}
