namespace Microsoft.ML.Dpl.Plots;

/// <summary>The layout of a plot, in pixels. The vertical axis's label is above the plot, where it is easier to read than a rotated
/// one.</summary>
/// <param name="Left">Space to the left of the data, for the tick labels.</param>
/// <param name="Top">Space above the data.</param>
/// <param name="Right">Space to the right of the data.</param>
/// <param name="Bottom">Space below the data.</param>
internal sealed record PlotLayout(float Left, float Top, float Right, float Bottom)
{
    /// <summary>Text height, line height, and the width of a character in wide fonts.</summary>
    public const float TextSize = 12,
        Line = 18,
        CharacterWidth = 7.2f;

    /// <summary>Baseline of the vertical axis's label.</summary>
    public const float TitleLine = 12;

    private const float Sample = 20,
        Gap = 18;

    /// <summary>Baseline of the legend's first line, if there is a legend.</summary>
    public const float LegendLine = TitleLine + Line;

    /// <summary>Whether the plot has a legend, which it needs for more than one series.</summary>
    public static bool HasLegend(PlotImage image) => image.Series.Count > 1;

    /// <summary>The position of each series in the legend: the left end, and the line, from 0.</summary>
    public static IReadOnlyList<(float Left, int Line)> Legend(PlotImage image)
    {
        List<(float Left, int Line)> places = [];
        float left = 0;
        int line = 0;
        foreach (PlotSeries series in image.Series)
        {
            float width = Sample + series.Name.Length * CharacterWidth;
            if (left > 0 && left + width > image.Width)
                (left, line) = (0, line + 1);
            places.Add((left, line));
            left += width + Gap;
        }
        return places;
    }

    /// <summary>The image with its height increased by the legend's lines beyond the first, so that they take no space from the
    /// data.</summary>
    public static PlotImage WithRoomForLegend(PlotImage image) =>
        HasLegend(image) ? image with { Height = image.Height + (int)Line * Legend(image)[^1].Line } : image;

    public static PlotLayout Create(PlotImage image, AxisTicks up)
    {
        float labels = up.Ticks.Select(tick => tick.Label.Length).DefaultIfEmpty(0).Max() * CharacterWidth;
        return new PlotLayout(labels + 10, TitleLine + (HasLegend(image) ? Line * (1 + Legend(image)[^1].Line) : 0) + 12, 20, 2 * Line + 4);
    }
}
