using System.Globalization;
using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Report;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>The table as a self-contained HTML page, with plots of accuracy against shots.</summary>
internal static class StudyPage
{
    private const int Colours = 4;

    /// <param name="table">The table.</param>
    /// <param name="name">Name of the study.</param>
    public static string Html(StudyTable table, string name)
    {
        Markup sections = Markup.Join(
            table
                .Sheets.Select(
                    (sheet, i) => new Section($"part-{i.ToString(CultureInfo.InvariantCulture)}", sheet.Title, SheetText.Html(sheet))
                )
                .Select(section => section.ToMarkup())
        );
        return HtmlPage.Create(name, "study", Markup.Empty, Markup.Format($"{Plots(table)}{sections}"));
    }

    /// <summary>Plots of accuracy against shots, for the average and each data set; none if there is only one number of shots.</summary>
    private static Markup Plots(StudyTable table)
    {
        var markups = new List<Markup>();
        foreach (
            var sections in table
                .Sections.Where(section => section.Shots is not null)
                .GroupBy(section => (section.Protocol, section.Measure))
                .Where(group => group.Count() > 1)
        )
        {
            StudySection[] byShots = [.. sections];
            string what = sections.Key.Measure.Length > 0 ? $"{sections.Key.Protocol}, {sections.Key.Measure}" : sections.Key.Protocol;
            IEnumerable<string> names = byShots[0].Columns.Select(column => column.Name);
            List<Markup> plots = [];
            if (byShots[0].Columns.Count > 1)
                plots.Add(Plot($"{markups.Count}-average", $"{what}, average", (section, method) => section.Average(method)));
            foreach (string name in names)
                plots.Add(
                    Plot($"{markups.Count}-{plots.Count}", $"{what}, {name}", (section, method) =>
                        section.Columns.FirstOrDefault(column => column.Name == name) is { } column ? section.Cell(method, column) : null
                    )
                );
            markups.Add(
                new Section(
                    $"shots-{markups.Count.ToString(CultureInfo.InvariantCulture)}",
                    $"Accuracy against shots: {what}",
                    Markup.Format($"""<div class="plots">{Markup.Join(plots)}</div>""")
                ).ToMarkup()
            );

            Markup Plot(string id, string title, Func<StudySection, string, StudyCell?> cell)
            {
                var image = new PlotImage(
                    $"shots-{id}",
                    $"Accuracy by training images of each class, {title}.",
                    Shots(byShots),
                    new PlotAxis("accuracy") { Numbers = PlotNumbers.Percent },
                    [.. table.Results.Methods.Select((method, i) => Series(byShots, method, i, cell))]
                );
                return Markup.Format($"<div><h3>{title}</h3>{PlotFigure.Create(image)}</div>");
            }
        }
        return Markup.Join(markups);
    }

    private static PlotAxis Shots(StudySection[] sections) =>
        new("training images of each class")
        {
            Minimum = sections.Min(section => section.Shots!.Value),
            Maximum = sections.Max(section => section.Shots!.Value),
            Logarithmic = true,
        };

    private static PlotSeries Series(StudySection[] sections, string method, int place, Func<StudySection, string, StudyCell?> cell) =>
        new(
            method,
            place / Colours % 2 == 0 ? PlotMark.LineAndPoints : PlotMark.Dashes,
            [.. sections.Select(section => (double)section.Shots!.Value)],
            [.. sections.Select(section => cell(section, method)?.Mean / 100 ?? double.NaN)]
        )
        {
            Colour = 1 + place % Colours,
        };
}
