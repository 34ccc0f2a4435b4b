using System.Text.Json;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>Draws plots: marks, frame and grid with ScottPlot, text with <see cref="SvgFinish"/>.</summary>
public static class PlotDrawing
{
    private const float LineWidth = 2,
        PointSize = 6;

    /// <summary>The only method that is called across the load context's boundary, so its argument and result are plain strings.</summary>
    /// <param name="json">A plot's description as JSON.</param>
    /// <returns>An <c>svg</c> element as text, without an XML declaration.</returns>
    /// <exception cref="JsonException">The text is not a plot's description.</exception>
    public static string Svg(string json)
    {
        PlotImage image = JsonSerializer.Deserialize<PlotImage>(json, JsonForm.Options)
            ?? throw new JsonException("There is no plot to draw.");
        image = PlotLayout.WithRoomForLegend(image);
        var across = AxisTicks.Create(image.Horizontal, image.Series.SelectMany(Places));
        var up = AxisTicks.Create(
            image.Vertical,
            image.Series.SelectMany(series => series.Mark == PlotMark.Bars && !image.Vertical.Logarithmic ? series.Y.Append(0) : series.Y)
        );
        var layout = PlotLayout.Create(image, up);
        using var plot = new Plot();
        DrawFrame(plot, across, up, layout);
        foreach (PlotSeries series in image.Series)
            Draw(plot, image, series, up);
        plot.Axes.SetLimits(across.Low, across.High, up.Low, up.High);
        return SvgFinish.Apply(plot.GetSvgXml(image.Width, image.Height), image, layout, across, up);
    }

    private static void DrawFrame(Plot plot, AxisTicks across, AxisTicks up, PlotLayout layout)
    {
        plot.FigureBackground.Color = Colors.Transparent;
        plot.DataBackground.Color = Colors.Transparent;
        plot.Layout.Fixed(new PixelPadding(layout.Left, layout.Right, layout.Bottom, layout.Top));
        foreach (IAxis axis in plot.Axes.GetAxes())
        {
            axis.FrameLineStyle.Width = 0;
            axis.MajorTickStyle.Length = axis.MinorTickStyle.Length = 0;
            axis.TickLabelStyle.IsVisible = false;
        }
        plot.Axes.Bottom.FrameLineStyle.Width = 1;
        plot.Axes.Bottom.FrameLineStyle.Color = SvgColours.Axis;
        plot.Axes.Bottom.TickGenerator = Manual(across);
        plot.Axes.Left.TickGenerator = Manual(up);
        plot.Grid.MajorLineColor = SvgColours.Grid;
        plot.Grid.MajorLineWidth = 1;
    }

    private static NumericManual Manual(AxisTicks ticks) =>
        new([.. ticks.Ticks.Select(tick => tick.Place)], [.. ticks.Ticks.Select(_ => "")]);

    private static void Draw(Plot plot, PlotImage image, PlotSeries series, AxisTicks up)
    {
        Color colour = SvgColours.Series(series.Colour);
        if (series.Mark == PlotMark.Bars)
        {
            foreach (var (x, y) in Points(image, series).Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y)))
                plot.Add.Bar(
                    new Bar
                    {
                        Position = x,
                        Value = y,
                        ValueBase = image.Vertical.Logarithmic ? up.Low : 0,
                        Size = series.BarWidth,
                        FillColor = colour,
                        LineWidth = 0,
                    }
                );
            return;
        }
        foreach (var run in FiniteRuns(Points(image, series)))
        {
            var scatter = plot.Add.Scatter(run.Select(point => point.X).ToArray(), run.Select(point => point.Y).ToArray(), colour);
            scatter.LineWidth = series.Mark == PlotMark.Points ? 0 : LineWidth;
            scatter.LinePattern = series.Mark == PlotMark.Dashes ? LinePattern.Dashed : LinePattern.Solid;
            bool points = series.Mark is PlotMark.Points or PlotMark.LineAndPoints || (run.Count == 1 && series.Mark == PlotMark.Line);
            scatter.MarkerSize = points ? PointSize : 0;
        }
    }

    /// <summary>Splits the points into runs of finite numbers, because lines are broken at other values.</summary>
    private static List<List<(double X, double Y)>> FiniteRuns(IEnumerable<(double X, double Y)> points)
    {
        List<List<(double, double)>> runs =
        [
            [],
        ];
        foreach (var point in points)
        {
            if (double.IsFinite(point.X) && double.IsFinite(point.Y))
                runs[^1].Add(point);
            else if (runs[^1].Count > 0)
                runs.Add([]);
        }
        if (runs[^1].Count == 0)
            runs.RemoveAt(runs.Count - 1);
        return runs;
    }

    private static IEnumerable<(double X, double Y)> Points(PlotImage image, PlotSeries series) =>
        series.X.Zip(series.Y, (x, y) => (AxisTicks.Place(image.Horizontal, x), AxisTicks.Place(image.Vertical, y)));

    /// <summary>The horizontal values that the axis must cover; for bars, including half a bar's width on either side.</summary>
    private static IEnumerable<double> Places(PlotSeries series) =>
        series.Mark != PlotMark.Bars ? series.X : series.X.SelectMany(x => new[] { x - series.BarWidth / 2, x + series.BarWidth / 2 });
}
