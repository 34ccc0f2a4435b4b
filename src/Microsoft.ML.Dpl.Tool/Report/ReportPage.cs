using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The report of a fit as one self-contained HTML file: no network, no script, no font.</summary>
internal static class ReportPage
{
    /// <summary>Writes the page.</summary>
    /// <param name="results">Results of a fit; for missing parts the page has a line that says why.</param>
    /// <param name="path">Path of the file, which is replaced if it exists.</param>
    /// <param name="model">The model, which draws the heat maps; null to leave them out. Not disposed.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="FileNotFoundException">The application's folder <c>plots</c> is missing.</exception>
    public static void Write(FitResults results, string path, DplTransformer? model = null) =>
        File.WriteAllText(path, Html(results, model));

    /// <summary>Returns the page as text.</summary>
    /// <param name="results">Results of a fit.</param>
    /// <param name="model">Draws the heat maps; null to leave them out.</param>
    public static string Html(FitResults results, DplTransformer? model = null)
    {
        ArgumentNullException.ThrowIfNull(results);
        string Locate(string file) => Path.Combine(results.Asked.WorkingFolder ?? "", file);
        bool applyExif = model?.ApplyExifOrientation ?? results.AppliedExifOrientation;
        Section[] sections =
        [
            TestSections.Accuracy(results),
            LayerSections.Lengths(results),
            .. DesignSection.Create(results) is { } design ? new[] { design } : [],
            LayerSections.Alphas(results),
            EpochSections.Settling(results),
            FinalistsSection.Create(results),
            EpochSections.Training(results),
            ConfusionSection.Create(results),
            MistakesSection.Create(results, Locate, model, applyExif),
            TestSections.Calibration(results),
            RunSections.Data(results, Locate, applyExif),
            RunSections.Asked(results),
            RunSections.Cost(results),
            RunSections.Versions(results),
        ];
        Markup cancelled = results.WasCancelled
            ? Markup.Format($"""<p class="notice">The fit was cancelled; this is the best it had by then.</p>""")
            : Markup.Empty;
        Markup links = Markup.Join(sections.Select(section => Markup.Format($"""<a href="#{section.Id}">{section.Title}</a>""")));
        return HtmlPage.Create(
            results.Asked.Task,
            "report",
            Markup.Format(
                $"""{cancelled}{WarningBox.Create(results)}{Figures(results)}<nav aria-label="Parts of this page">{links}</nav>"""
            ),
            Markup.Join(sections.Select(section => section.ToMarkup()))
        );
    }

    /// <summary>The key figures at the top of the page.</summary>
    private static Markup Figures(FitResults results)
    {
        List<(string Name, string Value)> figures = [];
        Markup tested = results.Test is not { Accuracy: var accuracy }
            ? Markup.Empty
            : Markup.Format(
                $"<div><dt>test accuracy</dt><dd>{Written.Percent(accuracy.Accuracy)} <small>{Written.Percent(accuracy.Lower)} to "
                    + $"{Written.Percent(accuracy.Upper)}</small></dd></div>"
            );
        if (results.Training?.ValidationAccuracy is double validation)
            figures.Add(("validation accuracy", Written.Percent(validation)));
        if (results.Data is { } data)
            figures.Add(("classes", Written.Number(data.Classes.Count, "0")));
        if (results.Configuration is { } configuration)
            figures.Add(("prompt rows", Written.Number(configuration.Text.Sum() + configuration.Image.Sum(), "0")));
        if (results.Stages.Count > 0)
            figures.Add(("time", Written.Time(results.Stages.Sum(stage => stage.Seconds))));
        Markup named = Markup.Join(figures.Select(figure => Markup.Format($"<div><dt>{figure.Name}</dt><dd>{figure.Value}</dd></div>")));
        return Markup.Format($"""<dl>{tested}{named}<div><dt>CLIP</dt><dd class="words">{results.Backbone.Name}</dd></div></dl>""");
    }
}
