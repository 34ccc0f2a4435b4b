using Microsoft.ML.Dpl.Plots;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>A chart of how step times grow, with logarithmic axes: time against size, both as multiples of the first point of an axis, so
/// that proportional growth has a slope of one.</summary>
internal static class ScalingChart
{
    /// <param name="shape">The name of CLIP's shape.</param>
    /// <param name="points">Axis, value and seconds of a search step; the points of an axis in increasing order of value.</param>
    /// <returns>A complete SVG file.</returns>
    public static string Svg(string shape, IEnumerable<(string Axis, int Value, double Seconds)> points)
    {
        PlotSeries[] series =
        [
            .. points
                .GroupBy(point => point.Axis)
                .Select(
                    (axis, i) =>
                        new PlotSeries(
                            axis.Key,
                            PlotMark.LineAndPoints,
                            [.. axis.Select(point => (double)point.Value / axis.First().Value)],
                            [.. axis.Select(point => point.Seconds / axis.First().Seconds)]
                        )
                        {
                            Colour = i + 1,
                        }
                ),
        ];
        double largest = series.SelectMany(s => s.X).Max();
        var proportional = new PlotSeries("in proportion", PlotMark.Dashes, [1, largest], [1, largest]) { Colour = 0 };
        return PlotHost.Svg(
            new PlotImage(
                "scaling",
                $"How a search step grows, {shape}",
                new PlotAxis("size, times the first") { Logarithmic = true },
                new PlotAxis("time of a search step, times the first") { Logarithmic = true },
                [proportional, .. series]
            )
            {
                Standalone = true,
                Width = 560,
                Height = 360,
            }
        );
    }
}
