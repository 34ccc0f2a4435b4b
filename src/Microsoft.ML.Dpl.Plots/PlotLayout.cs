namespace Microsoft.ML.Dpl.Plots;

/// <summary>Where the parts of a plot are, in pixels from its top left corner. The vertical axis's label stands above the plot, which is
/// read more easily than a turned one.</summary>
/// <param name="Left">Space left of the data, for the labels of ticks.</param>
/// <param name="Top">Space above.</param>
/// <param name="Right">Space right of it.</param>
/// <param name="Bottom">Space below.</param>
internal sealed record PlotLayout(float Left, float Top, float Right, float Bottom)
{
    /// <summary>Height of text, of a line of it, and the width of a character in wide fonts.</summary>
    public const float TextSize = 12,
        Line = 18,
        CharacterWidth = 7.2f;

    /// <summary>Baseline of the vertical axis's label.</summary>
    public const float TitleLine = 12;

    /// <summary>Baseline of the legend, where there is one.</summary>
    public const float LegendLine = TitleLine + Line;

    /// <summary>Whether series need names.</summary>
    public static bool HasLegend(PlotImage image) => image.Series.Count > 1;

    public static PlotLayout Of(PlotImage image, AxisTicks up)
    {
        float labels = up.Ticks.Select(tick => tick.Label.Length).DefaultIfEmpty(0).Max() * CharacterWidth;
        return new PlotLayout(labels + 10, TitleLine + (HasLegend(image) ? Line : 0) + 12, 20, 2 * Line + 4);
    }
}
