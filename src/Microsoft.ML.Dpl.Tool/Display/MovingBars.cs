using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Bars that move on the error stream, as wide as the terminal allows.</summary>
internal static class MovingBars
{
    private const int WideTerminal = 100,
        WideBar = 30,
        NarrowBar = 10,
        Percentage = 4,
        Gaps = 3;

    /// <summary>Characters that are left for what stands before a bar.</summary>
    public static int TextWidth => Terminal.Error.Profile.Width - BarWidth - Percentage - Gaps;

    private static int BarWidth => Terminal.Error.Profile.Width >= WideTerminal ? WideBar : NarrowBar;

    /// <param name="run">Given where to add bars.</param>
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
