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

    private const float Sample = 20,
        Gap = 18;

    /// <summary>Baseline of the legend's first line, where there is one.</summary>
    public const float LegendLine = TitleLine + Line;

    /// <summary>Whether series need names.</summary>
    public static bool HasLegend(PlotImage image) => image.Series.Count > 1;

    /// <summary>Where the legend names each series: the left end, and the line from 0.</summary>
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

    /// <summary>The same image, higher by the lines that its legend has beyond the first, so that these take nothing from the
    /// data.</summary>
    public static PlotImage WithRoomForLegend(PlotImage image) =>
        HasLegend(image) ? image with { Height = image.Height + (int)Line * Legend(image)[^1].Line } : image;

    public static PlotLayout Create(PlotImage image, AxisTicks up)
    {
        float labels = up.Ticks.Select(tick => tick.Label.Length).DefaultIfEmpty(0).Max() * CharacterWidth;
        return new PlotLayout(labels + 10, TitleLine + (HasLegend(image) ? Line * (1 + Legend(image)[^1].Line) : 0) + 12, 20, 2 * Line + 4);
    }
}
