using System.Globalization;
using ScottPlot;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>The colours of a plot: ScottPlot draws with placeholder colours, each of which is replaced by a CSS variable, so that plots
/// follow the page's light or dark mode.</summary>
internal static class SvgColours
{
    private const byte FirstRed = 0x12,
        FirstGreen = 0x34,
        GridBlue = 0x50,
        AxisBlue = 0x51,
        SeriesBlue = 0x60;
    private static readonly string[] Fallbacks = ["#24292f", "#2563ab", "#c2570c", "#17806d", "#8250a8"];

    public static Color Grid { get; } = new(FirstRed, FirstGreen, GridBlue);

    public static Color Axis { get; } = new(FirstRed, FirstGreen, AxisBlue);

    /// <summary>The style sheet of a plot in a separate file.</summary>
    public const string StyleSheet = """
        svg { --ink: #24292f; --muted: #57606a; --grid: #d8dee4; --plot-1: #2563ab; --plot-2: #c2570c; --plot-3: #17806d; --plot-4: #8250a8; background: #fff }
        @media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --muted: #9da7b1; --grid: #343b43; --plot-1: #6cb0f5; --plot-2: #f0964b; --plot-3: #4fc4ab; --plot-4: #c9a2ec; background: #14181d } }
        """;

    /// <param name="colour">0 to 4.</param>
    public static Color Series(int colour) => new(FirstRed, FirstGreen, (byte)(SeriesBlue + Within(colour)));

    /// <summary>The CSS value for a series colour.</summary>
    public static string Css(int colour) =>
        Within(colour) == 0 ? $"var(--ink,{Fallbacks[0]})" : $"var(--plot-{Within(colour)},{Fallbacks[Within(colour)]})";

    /// <summary>The CSS value that replaces a placeholder; null for other colours.</summary>
    /// <param name="written">A colour as written by Skia: # and six hexadecimal digits.</param>
    public static string? Css(string written)
    {
        if (
            written is not ['#', _, _, _, _, _, _]
            || !int.TryParse(written.AsSpan(1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out int rgb)
        )
            return null;
        if (rgb >> 8 != (FirstRed << 8 | FirstGreen))
            return null;
        return (byte)rgb switch
        {
            GridBlue => "var(--grid,#d8dee4)",
            AxisBlue => "var(--muted,#57606a)",
            byte blue => Css(blue - SeriesBlue),
        };
    }

    private static int Within(int colour) => Math.Clamp(colour, 0, Fallbacks.Length - 1);
}
