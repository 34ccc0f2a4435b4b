namespace Microsoft.ML.Dpl.Plots;

/// <summary>The description of a plot. Compiled into the assemblies on both sides of the load context's boundary, which it crosses as
/// JSON.</summary>
/// <param name="Id">An identifier of letters, digits and hyphens; unique among the plots of one page.</param>
/// <param name="Description">Alternative text: one sentence for people who cannot see the plot.</param>
/// <param name="Horizontal">The horizontal axis, from left to right.</param>
/// <param name="Vertical">The vertical axis, from bottom to top.</param>
/// <param name="Series">The series; the first is drawn first, below the others.</param>
internal sealed record PlotImage(string Id, string Description, PlotAxis Horizontal, PlotAxis Vertical, IReadOnlyList<PlotSeries> Series)
{
    /// <summary>Width in the image's own units, in which text is 12 high.</summary>
    public int Width { get; init; } = 440;

    /// <summary>Height in the same units, with one line of legend; further lines are added to it.</summary>
    public int Height { get; init; } = 280;

    /// <summary>Whether the image is a separate file with its own style sheet for light and dark mode; otherwise the page defines the
    /// colours.</summary>
    public bool Standalone { get; init; }
}

/// <summary>One axis.</summary>
/// <param name="Label">The axis label, with its unit.</param>
internal sealed record PlotAxis(string Label)
{
    /// <summary>Null to determine it from the data.</summary>
    public double? Minimum { get; init; }

    /// <summary>Null to determine it from the data.</summary>
    public double? Maximum { get; init; }

    /// <summary>Whether the scale is logarithmic; numbers that are not above 0 are then omitted.</summary>
    public bool Logarithmic { get; init; }

    /// <summary>The format of the axis's numbers.</summary>
    public PlotNumbers Numbers { get; init; }
}

/// <summary>The format of an axis's numbers.</summary>
internal enum PlotNumbers
{
    /// <summary>With as many decimals as the steps need.</summary>
    Plain,

    /// <summary>Whole numbers only.</summary>
    Whole,

    /// <summary>As percentages, with 1 as 100 %.</summary>
    Percent,
}

/// <summary>A data series.</summary>
/// <param name="Name">The name in the legend, which is drawn if there are two or more series.</param>
/// <param name="Mark">How the series is drawn.</param>
/// <param name="X">The horizontal values; a value that is not finite breaks a line.</param>
/// <param name="Y">The vertical values, as many as in <paramref name="X"/>.</param>
internal sealed record PlotSeries(string Name, PlotMark Mark, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>0 for the text colour, or 1 to 4 for colours that also differ in lightness.</summary>
    public int Colour { get; init; } = 1;

    /// <summary>Width of bars, in units of the horizontal axis.</summary>
    public double BarWidth { get; init; } = 1;
}

/// <summary>How a series is drawn.</summary>
internal enum PlotMark
{
    /// <summary>A line; an isolated number is drawn as a point.</summary>
    Line,

    /// <summary>A line with a point at every number.</summary>
    LineAndPoints,

    /// <summary>A dashed line.</summary>
    Dashes,

    /// <summary>Points.</summary>
    Points,

    /// <summary>Bars from 0, or from the bottom on logarithmic axes.</summary>
    Bars,
}
