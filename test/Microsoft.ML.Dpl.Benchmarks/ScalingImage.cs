using Microsoft.ML.Dpl.Plots;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>How steps grow, on logarithmic axes: time against size, both as multiples of an axis's first point, so that what grows in
/// proportion climbs at one to one.</summary>
internal static class ScalingChart
{
    /// <param name="shape">Of CLIP.</param>
    /// <param name="points">Axis, value and seconds of a search step; those of one axis by increasing value.</param>
    /// <returns>A file of its own as SVG.</returns>
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
