using System.Globalization;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>Draws a confusion matrix that is too large for numbers as coloured cells. Not drawn by ScottPlot, whose heat maps are bitmaps:
/// here cells have tooltips, and the colours follow the page's theme.</summary>
internal static class ConfusionMap
{
    private const int WantedSide = 640,
        Margin = 34,
        End = 14,
        TickEvery = 10;
    private const double LeastCell = 4,
        LeastOpacity = 0.25; // a single confusion would be invisible below this

    public static Markup Create(TestResults test)
    {
        int classes = test.Classes.Count;
        double cell = Math.Max(LeastCell, Math.Floor(2.0 * WantedSide / classes) / 2);
        double side = cell * classes,
            whole = Margin + side + End;
        Markup cells = Markup.Join(
            test.Confusion.SelectMany(
                (row, i) =>
                {
                    int sum = row.Sum();
                    return row.Select((count, j) => (count, j))
                        .Where(entry => entry.count > 0)
                        .Select(entry => Cell(test, i, entry.j, (double)entry.count / sum, cell));
                }
            )
        );
        Markup ticks = Markup.Join(
            Enumerable
                .Range(1, classes)
                .Where(number => number == 1 || number % TickEvery == 0)
                .Select(number => Tick(number, Margin + (number - 0.5) * cell, Margin + side))
        );
        return Markup.Format(
            $"""
            <p>A row for each true class from top to bottom, a column for each predicted one from left to right, by their numbers: right answers lie on the diagonal; the stronger the colour, the larger the share of the row. Point at a cell to see its classes.</p>
            <div class="wide"><svg class="map" viewBox="0 0 {Text(whole)} {Text(
                whole
            )}" role="img" aria-label="Confusion matrix of {classes} classes; the tables below say the same in numbers.">
            <rect class="ground" x="{Margin}" y="{Margin}" width="{Text(side)}" height="{Text(side)}"/>{ticks}<g>{cells}</g></svg></div>
            """
        );
    }

    private static Markup Cell(TestResults test, int truth, int predicted, double share, double cell) =>
        Markup.Format(
            $"""
            <rect class="{(truth == predicted ? "right" : "wrong")}" x="{Text(Margin + predicted * cell)}" y="{Text(
                Margin + truth * cell
            )}" width="{Text(cell)}" height="{Text(cell)}" fill-opacity="{LeastOpacity
                + (1 - LeastOpacity) * share:0.00}"><title>{ConfusionSection.Words(test, truth, predicted)}</title></rect>
            """
        );

    /// <summary>A class's number on both axes, with fine lines across the map.</summary>
    private static Markup Tick(int number, double place, double end) =>
        Markup.Format(
            $"""
            <path d="M{Margin - 4} {Text(place)}H{Text(end)}M{Text(place)} {Margin - 4}V{Text(end)}"/><text x="{Margin - 7}" y="{Text(
                place + 4
            )}" text-anchor="end">{number}</text><text x="{Text(place)}" y="{Margin - 9}" text-anchor="middle">{number}</text>
            """
        );

    private static string Text(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);
}
