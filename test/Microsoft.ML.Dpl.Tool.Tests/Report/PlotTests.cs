using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Plots;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

public class PlotTests
{
    private static readonly PlotAxis Plain = new("places");

    [Fact]
    public void Both_SkiaSharps_work_side_by_side()
    {
        using var fit = new ReportedFit();
        string file = Path.Combine(fit.Folder, "0.png");
        using (MLImage before = MLImage.CreateFromFile(file))
            Assert.Equal(64, before.Width);
        XElement svg = Drawn(new PlotImage("p", "A plot", Plain, Plain, [new PlotSeries("s", PlotMark.Line, [1, 2, 3], [1, 4, 9])]));
        Assert.Contains(svg.Descendants(), e => e.Name.LocalName == "path");
        using MLImage after = MLImage.CreateFromFile(file);
        Assert.Equal(4 * 64 * 48, after.Pixels.Length); // calls SKBitmap.GetPixelSpan, which SkiaSharp 3 no longer has
        string[] loaded =
        [
            .. AppDomain
                .CurrentDomain.GetAssemblies()
                .Where(a => a.GetName().Name == "SkiaSharp")
                .Select(a => a.GetName().Version!.ToString(2)),
        ];
        Assert.Equal(["2.88", "3.119"], loaded.Order());
    }

    [Fact]
    public void Words_are_left_to_the_browsers_fonts_and_colours_to_the_page()
    {
        XElement svg = Drawn(
            new PlotImage(
                "p",
                "A <plot>",
                new PlotAxis("epoch <&>") { Numbers = PlotNumbers.Whole },
                new PlotAxis("share")
                {
                    Numbers = PlotNumbers.Percent,
                    Minimum = 0,
                    Maximum = 1,
                },
                [
                    new PlotSeries("one", PlotMark.LineAndPoints, [1, 2, 3, 4], [0.1, 0.5, double.NaN, 0.9]),
                    new PlotSeries("two", PlotMark.Bars, [1, 2], [0.2, 0.3]) { Colour = 2 },
                ]
            )
        );
        string[] words = [.. Texts(svg)];
        Assert.Equal(["1", "2", "3", "4", "0 %", "20 %", "40 %", "60 %", "80 %", "100 %", "epoch <&>", "share", "one", "two"], words);
        Assert.All(svg.Descendants().Where(e => e.Name.LocalName == "text"), text => Assert.Null(text.Attribute("font-family")));
        Assert.Equal("system-ui, sans-serif", (string?)svg.Attribute("font-family"));
        Assert.Null(svg.Attribute("width"));
        Assert.Equal("0 0 440 280", (string?)svg.Attribute("viewBox"));
        Assert.DoesNotContain("#1234", svg.ToString(), StringComparison.Ordinal);
        Assert.Contains("var(--plot-2", svg.ToString(), StringComparison.Ordinal);
        Assert.All(svg.Descendants().Attributes("id"), id => Assert.StartsWith("p-", id.Value, StringComparison.Ordinal));
    }

    [Fact]
    public void Logarithmic_axes_have_round_numbers_and_leave_out_what_has_no_logarithm()
    {
        PlotAxis axis = new("classes") { Logarithmic = true };
        XElement svg = Drawn(
            new PlotImage(
                "p",
                "Scaling",
                axis,
                new PlotAxis("ms") { Logarithmic = true },
                [new PlotSeries("s", PlotMark.LineAndPoints, [10, 100, 1000, 0], [1, 10, 100, -5])]
            )
            {
                Standalone = true,
            }
        );
        Assert.Equal(["10", "30", "100", "300", "1000", "1", "3", "10", "30", "100", "classes", "ms"], Texts(svg));
        Assert.Contains("prefers-color-scheme", svg.Elements().First().Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_to_draw_and_numbers_that_are_none_still_make_a_plot()
    {
        Assert.Contains("nothing", Texts(Drawn(new PlotImage("p", "Empty", new PlotAxis("nothing"), Plain, []))));
        Drawn(new PlotImage("p", "One", Plain, Plain, [new PlotSeries("s", PlotMark.Line, [1], [double.NaN])]));
        Drawn(new PlotImage("p", "Flat", Plain, Plain, [new PlotSeries("s", PlotMark.Line, [1, 1], [0, 0])]));
        Drawn(new PlotImage("p", "Huge", Plain, Plain, [new PlotSeries("s", PlotMark.Line, [1, 2], [1e-12, 1e300])]));
    }

    [Fact]
    public void An_axis_shows_no_share_beyond_all_and_ends_where_numbers_cannot_be_told_apart()
    {
        PlotAxis share = new("share") { Numbers = PlotNumbers.Percent };
        XElement all = Drawn(new PlotImage("p", "All right", Plain, share, [new PlotSeries("s", PlotMark.Line, [1, 2], [1, 1])]));
        Assert.Contains("100 %", Texts(all));
        Assert.DoesNotContain(Texts(all), label => label.EndsWith('%') && double.Parse(label[..^2], CultureInfo.InvariantCulture) > 100);
        XElement none = Drawn(new PlotImage("p", "All wrong", Plain, share, [new PlotSeries("s", PlotMark.Line, [1, 2], [0, 0])]));
        Assert.Contains("0 %", Texts(none));
        Assert.DoesNotContain(Texts(none), label => label.StartsWith('-'));
        Drawn(new PlotImage("p", "Close", Plain, Plain, [new PlotSeries("s", PlotMark.Line, [1, 2], [1e17, Math.BitIncrement(1e17)])]));
    }

    private static XElement Drawn(PlotImage image) => XDocument.Parse(PlotHost.Svg(image)).Root!;

    private static IEnumerable<string> Texts(XElement svg) => svg.Descendants().Where(e => e.Name.LocalName == "text").Select(e => e.Value);
}
