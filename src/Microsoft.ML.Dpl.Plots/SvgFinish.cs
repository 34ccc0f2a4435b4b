using System.Globalization;
using System.Xml.Linq;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>Prepares a drawing by Skia for embedding in a page: a view box instead of a fixed size, unique ids, colours as CSS variables,
/// and text as text elements, which work with any browser's fonts.</summary>
internal static class SvgFinish
{
    private static readonly XNamespace Space = "http://www.w3.org/2000/svg";

    /// <param name="drawn">The SVG text as written by ScottPlot.</param>
    /// <param name="image">The plot's description, with its texts.</param>
    /// <param name="layout">The layout that was used for drawing.</param>
    /// <param name="across">The horizontal axis.</param>
    /// <param name="up">The vertical axis.</param>
    public static string Apply(string drawn, PlotImage image, PlotLayout layout, AxisTicks across, AxisTicks up)
    {
        XElement svg = XDocument.Parse(drawn).Root!;
        foreach (string size in new[] { "width", "height", "viewBox" })
            svg.SetAttributeValue(size, null);
        svg.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {image.Width} {image.Height}"));
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("class", "plot");
        svg.SetAttributeValue("aria-label", image.Description);
        svg.SetAttributeValue("font-family", "system-ui, sans-serif");
        svg.SetAttributeValue("font-size", PlotLayout.TextSize);
        svg.Descendants().Where(IsInvisible).Remove();
        Rename(svg, image.Id);
        foreach (XElement element in svg.Descendants())
            Recolour(element);
        if (image.Standalone)
            svg.AddFirst(new XElement(Space + "style", SvgColours.StyleSheet));
        svg.Add(Words(image, layout, across, up));
        return svg.ToString(SaveOptions.DisableFormatting);
    }

    /// <summary>Whether an element is an invisible background.</summary>
    private static bool IsInvisible(XElement element) =>
        element.Name.LocalName == "rect"
        && element.Parent?.Name.LocalName != "clipPath"
        && (string?)element.Attribute("fill-opacity") == "0"
        && element.Attribute("stroke") is null;

    /// <summary>Makes ids unique within the page, because otherwise two drawings on one page would use each other's clip paths.</summary>
    private static void Rename(XElement svg, string prefix)
    {
        string[] names = [.. svg.Descendants().Attributes("id").Select(id => id.Value)];
        foreach (XAttribute attribute in svg.Descendants().Attributes().ToArray())
        {
            if (attribute.Name == "id")
                attribute.Value = $"{prefix}-{attribute.Value}";
            else if (names.FirstOrDefault(name => attribute.Value == $"url(#{name})") is string clip)
                attribute.Value = $"url(#{prefix}-{clip})";
            else if (names.FirstOrDefault(name => attribute.Value == $"#{name}") is string used)
                attribute.Value = $"#{prefix}-{used}";
        }
    }

    private static void Recolour(XElement element)
    {
        foreach (string paint in new[] { "fill", "stroke" })
        {
            if (element.Attribute(paint) is not { } written || SvgColours.Css(written.Value) is not string css)
                continue;
            written.Remove();
            element.SetAttributeValue("style", (string?)element.Attribute("style") + $"{paint}:{css};");
        }
    }

    private static IEnumerable<XElement> Words(PlotImage image, PlotLayout layout, AxisTicks across, AxisTicks up)
    {
        float width = image.Width - layout.Left - layout.Right,
            height = image.Height - layout.Top - layout.Bottom;
        float bottom = layout.Top + height;
        foreach (var (place, label) in across.Ticks)
            yield return Text(layout.Left + width * across.Share(place), bottom + PlotLayout.Line, "middle", "muted", label);
        foreach (var (place, label) in up.Ticks)
            yield return Text(layout.Left - 6, bottom - height * up.Share(place) + 0.35 * PlotLayout.TextSize, "end", "muted", label);
        yield return Text(layout.Left + width / 2, bottom + 2 * PlotLayout.Line, "middle", "ink", image.Horizontal.Label);
        yield return Text(0, PlotLayout.TitleLine, "start", "ink", image.Vertical.Label);
        if (!PlotLayout.HasLegend(image))
            yield break;
        foreach (var (series, (left, line)) in image.Series.Zip(PlotLayout.Legend(image)))
        {
            float baseline = PlotLayout.LegendLine + line * PlotLayout.Line;
            foreach (XElement sample in Sample(series, left, baseline - 5))
                yield return sample;
            yield return Text(left + 20, baseline, "start", "ink", series.Name);
        }
    }

    /// <summary>The sample of a series in the legend, 14 wide.</summary>
    private static IEnumerable<XElement> Sample(PlotSeries series, double x, double middle)
    {
        var fill = new XAttribute("style", $"fill:{SvgColours.Css(series.Colour)};");
        XElement Stroke(double from, double width) =>
            new(
                Space + "rect",
                Number("x", from),
                Number("y", middle - 2),
                Number("width", width),
                Number("height", 4),
                Number("rx", 2),
                fill
            );
        return series.Mark switch
        {
            PlotMark.Points => [new XElement(Space + "circle", Number("cx", x + 7), Number("cy", middle), Number("r", 4), fill)],
            PlotMark.Dashes => [Stroke(x, 6), Stroke(x + 8, 6)],
            PlotMark.Bars =>
            [
                new XElement(
                    Space + "rect",
                    Number("x", x),
                    Number("y", middle - 4),
                    Number("width", 14),
                    Number("height", 8),
                    Number("rx", 1),
                    fill
                ),
            ],
            _ => [Stroke(x, 14)],
        };
    }

    private static XElement Text(double x, double y, string anchor, string colour, string words) =>
        new(
            Space + "text",
            Number("x", x),
            Number("y", y),
            new XAttribute("text-anchor", anchor),
            new XAttribute("style", $"fill:var(--{colour},{(colour == "ink" ? "#24292f" : "#57606a")});"),
            words
        );

    private static XAttribute Number(string name, double value) => new(name, Math.Round(value, 2).ToString(CultureInfo.InvariantCulture));
}
