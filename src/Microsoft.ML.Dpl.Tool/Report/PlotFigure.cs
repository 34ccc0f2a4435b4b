using Microsoft.ML.Dpl.Plots;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>A plot as a figure of the page.</summary>
internal static class PlotFigure
{
    // About the width of a phone's screen, so that the text of the plot is not shrunk there.
    private const int Width = 380,
        Height = 250;

    /// <param name="image">The plot; its width and height are ignored.</param>
    public static Markup Create(PlotImage image) =>
        Markup.Format($"<figure>{new Markup(PlotHost.Svg(image with { Width = Width, Height = Height }))}</figure>");
}
