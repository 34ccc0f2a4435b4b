using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The section with the misclassified images whose true class got the lowest probability.</summary>
internal static class MistakesSection
{
    private const int Shown = 12,
        Side = 200;

    /// <param name="results">The results of a fit.</param>
    /// <param name="locate">Turns an image's path into one that can be opened.</param>
    /// <param name="model">Draws the heat maps; null to leave them out.</param>
    /// <param name="applyExif">Whether images are rotated and mirrored according to their EXIF orientation.</param>
    public static Section Create(FitResults results, Func<string, string> locate, DplTransformer? model, bool applyExif)
    {
        const string id = "mistakes",
            title = "Worst mistakes";
        if (results.Test is not { } test)
            return Section.Missing(id, title, TestSections.NoTest);
        TestPrediction[] wrong =
        [
            .. test
                .Predictions.Where(p => p.True != p.Predicted)
                .OrderBy(p => p.TrueProbability)
                .ThenBy(p => p.File, StringComparer.Ordinal),
        ];
        if (wrong.Length == 0)
            return Section.Missing(id, title, "Every test image was classified correctly.");
        string maps = model is null
            ? "There are no heat maps, since the model was not available."
            : "Beside each, what spoke for the wrong class: yellow most, violet least (Chefer et al. 2021).";
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>{wrong.Length} of {test.Predictions.Count} test images are classified wrongly; these are the ones whose true class was given the least probability. {maps}</p>
                <div class="cards">{Markup.Join(
                    wrong.Take(Shown).Select(prediction => Card(prediction, locate(prediction.File), model, applyExif))
                )}</div>
                """
            )
        );
    }

    private static Markup Card(TestPrediction prediction, string path, DplTransformer? model, bool applyExif)
    {
        Markup image = Image(Thumbnail.Address(path, Side, applyExif), prediction.True);
        Markup map =
            model is not null && prediction.Predicted is { } predicted
                ? Image(Thumbnail.HeatMap(path, Side, model, predicted), $"what speaks for {Written.Isolated(predicted)}")
                : Markup.Empty;
        return Markup.Format(
            $"""
            <div class="card"><div class="views">{image}{map}</div>
            <p><bdi>{prediction.True}</bdi> {Written.Percent(
                prediction.TrueProbability
            )}<br>taken for <bdi>{prediction.Predicted ?? "none of the classes"}</bdi> {Written.Percent(
                prediction.Probability
            )}</p><p class="file">{prediction.File}</p></div>
            """
        );
    }

    private static Markup Image(string? address, string words) =>
        address is null
            ? Markup.Format($"""<span class="gone">no image</span>""")
            : Markup.Format($"""<img src="{address}" alt="{words}">""");
}
