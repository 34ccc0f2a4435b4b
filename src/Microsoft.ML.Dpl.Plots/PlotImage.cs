namespace Microsoft.ML.Dpl.Plots;

/// <summary>What a plot shows. Compiled into both sides of the load context's border, which it crosses as JSON.</summary>
/// <param name="Id">Letters, digits and hyphens; unique among the plots of one page.</param>
/// <param name="Description">One sentence for those who cannot see it.</param>
/// <param name="Horizontal">The axis from left to right.</param>
/// <param name="Vertical">The axis from bottom to top.</param>
/// <param name="Series">The first lies at the bottom.</param>
internal sealed record PlotImage(string Id, string Description, PlotAxis Horizontal, PlotAxis Vertical, IReadOnlyList<PlotSeries> Series)
{
    /// <summary>In pixels of the image's own scale, in which text is 12 high.</summary>
    public int Width { get; init; } = 440;

    /// <summary>Likewise, with one line of legend; further lines come on top.</summary>
    public int Height { get; init; } = 280;

    /// <summary>Whether it is a file of its own, with colours for light and dark; else the page has them.</summary>
    public bool Standalone { get; init; }
}

/// <summary>One axis.</summary>
/// <param name="Label">What it counts, with its unit.</param>
internal sealed record PlotAxis(string Label)
{
    /// <summary>Null: from the data.</summary>
    public double? Minimum { get; init; }

    /// <summary>Null: from the data.</summary>
    public double? Maximum { get; init; }

    /// <summary>Whether equal steps are equal factors; numbers that are not above 0 are left out then.</summary>
    public bool Logarithmic { get; init; }

    /// <summary>How its numbers are written.</summary>
    public PlotNumbers Numbers { get; init; }
}

/// <summary>How an axis writes numbers.</summary>
internal enum PlotNumbers
{
    /// <summary>With the decimals that its steps need.</summary>
    Plain,

    /// <summary>Only whole ones.</summary>
    Whole,

    /// <summary>1 as 100 %.</summary>
    Percent,
}

/// <summary>Numbers that belong together.</summary>
/// <param name="Name">For the legend, which is drawn where there are two or more.</param>
/// <param name="Mark">How they are drawn.</param>
/// <param name="X">Places; what is no finite number breaks a line.</param>
/// <param name="Y">As many values.</param>
internal sealed record PlotSeries(string Name, PlotMark Mark, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>0 is the colour of text, 1 to 4 are colours that differ in lightness too.</summary>
    public int Colour { get; init; } = 1;

    /// <summary>Of bars, in units of the horizontal axis.</summary>
    public double BarWidth { get; init; } = 1;
}

/// <summary>How a series is drawn.</summary>
internal enum PlotMark
{
    /// <summary>A line; a number alone is a point.</summary>
    Line,

    /// <summary>A line with a point at every number.</summary>
    LineAndPoints,

    /// <summary>A line of dashes.</summary>
    Dashes,

    /// <summary>Points.</summary>
    Points,

    /// <summary>Bars from 0, also on logarithmic axes from the bottom.</summary>
    Bars,
}
