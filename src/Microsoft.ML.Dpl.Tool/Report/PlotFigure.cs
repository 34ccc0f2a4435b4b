using Microsoft.ML.Dpl.Plots;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>A plot as a part of the page.</summary>
internal static class PlotFigure
{
    // About as wide as a phone's screen, so that its words are not shrunk there.
    private const int Width = 380,
        Height = 250;

    /// <param name="image">Its own size is not asked.</param>
    public static Markup Create(PlotImage image) =>
        Markup.Format($"<figure>{new Markup(PlotHost.Svg(image with { Width = Width, Height = Height }))}</figure>");
}
