using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The sections about the test: accuracy and calibration.</summary>
internal static class TestSections
{
    /// <summary>The sentence shown in place of a section that needs test images.</summary>
    public const string NoTest = "There were no test images.";

    public static Section Accuracy(FitResults results)
    {
        const string id = "accuracy",
            title = "Accuracy";
        if (results.Test is not { } test)
            return Section.Missing(
                id,
                title,
                $"{NoTest} Name some with --test to learn how good the model is on images that it was not trained on."
            );
        ComparisonRow[] rows =
        [
            new ComparisonRow("this model", test.Accuracy, test.MacroAccuracy, results.Configuration),
            .. results.Comparison,
        ];
        bool paired = rows.Any(row => row.Difference is not null);
        Markup body = Markup.Join(
            rows.Select(
                (row, i) =>
                    Markup.Format(
                        $"""
                        <tr class="{(i == 0 ? "own" : "")}"><th scope="row">{row.Name}{(
                            row.Configuration is null ? Markup.Empty : Markup.Format($"<code>{row.Configuration.ToString()}</code>")
                        )}</th><td class="number">{Written.Percent(row.Accuracy.Accuracy)}</td>
                        <td class="whisker"><i style="--at:{row.Accuracy.Accuracy:0.0000};--from:{row.Accuracy.Lower:0.0000};--to:{row.Accuracy.Upper:0.0000}"></i></td>
                        <td class="number">{Written.Percent(row.Accuracy.Lower)} to {Written.Percent(row.Accuracy.Upper)}</td>{(
                            paired ? Lead(row.Difference) : Markup.Empty
                        )}<td class="number">{(row.MacroAccuracy is double macro ? Written.Percent(macro) : "–")}</td></tr>
                        """
                    )
            )
        );
        Markup alone =
            results.Comparison.Count == 0
                ? Markup.Format($"""<p class="missing">No other model was run on these images for comparison.</p>""")
                : Markup.Empty;
        string leads = paired
            ? " This model's lead is the difference on the same images in percentage points (95 %, Agresti and Min 2005); it can tell "
                + "models apart whose intervals overlap."
            : "";
        Markup leadHead = paired ? Markup.Format($"""<th scope="col" class="number">this model's lead</th>""") : Markup.Empty;
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>{Written.Count(
                    test.Predictions.Count,
                    "test image"
                )}; intervals hold the accuracy on further such images with 95 % confidence (Wilson).{leads} Log-loss {Written.Number(
                    test.LogLoss
                )} nats.</p>
                <div class="wide"><table><thead><tr><th scope="col">model and prompt lengths</th><th scope="col" class="number">accuracy</th><th scope="col">0 to 100 %</th><th scope="col" class="number">interval</th>{leadHead}<th scope="col" class="number">mean of classes</th></tr></thead><tbody>{body}</tbody></table></div>{alone}
                """
            )
        );
    }

    public static Section Calibration(FitResults results)
    {
        const string id = "calibration",
            title = "Are its probabilities reliable?";
        if (results.Test is not { } test)
            return Section.Missing(id, title, NoTest);
        CalibrationBin[] filled = [.. test.Calibration.Bins.Where(bin => bin.Images > 0)];
        double width = 1.0 / test.Calibration.Bins.Count;
        double[] middles =
        [
            .. test.Calibration.Bins.Select((bin, i) => (i, bin)).Where(pair => pair.bin.Images > 0).Select(pair => (pair.i + 0.5) * width),
        ];
        PlotAxis Share(string label) =>
            new(label)
            {
                Minimum = 0,
                Maximum = 1,
                Numbers = PlotNumbers.Percent,
            };
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
            <p>Where it says 80 %, 80 % should be right. The expected calibration error (Guo et al. 2017, {test.Calibration.Bins.Count} bins) is {Written.Percent(test.Calibration.ExpectedError)}; 0 is best. Bars of few images say little: the second plot counts them.</p>
            <div class="plots">
            {PlotFigure.Create(new PlotImage("reliability", $"Accuracy by predicted probability; the expected calibration error is {Written.Percent(test.Calibration.ExpectedError)}.", Share("predicted probability"), Share("accuracy"),
                [
                    new PlotSeries("right", PlotMark.Bars, middles, [.. filled.Select(bin => bin.Accuracy ?? double.NaN)]) { BarWidth = 0.88 * width },
                    new PlotSeries("ideal", PlotMark.Dashes, [0, 1], [0, 1]) { Colour = 0 },
                ]))}
            {PlotFigure.Create(new PlotImage("confidence", "Test images by predicted probability.", Share("predicted probability"), new PlotAxis("test images") { Minimum = 0, Numbers = PlotNumbers.Whole },
                [new PlotSeries("images", PlotMark.Bars, middles, [.. filled.Select(bin => (double)bin.Images)]) { BarWidth = 0.88 * width, Colour = 3 }]))}
            </div>
            """
            )
        );
    }

    private static Markup Lead(PairedDifference? difference) =>
        difference is null
            ? Markup.Format($"""<td class="number">–</td>""")
            : Markup.Format(
                $"""<td class="number" title="only this model right: {difference.OnlyModel}; only the other: {difference.OnlyOther}">{Written.Points(difference.Difference)} ({Written.Points(difference.Lower)} to {Written.Points(difference.Upper)})</td>"""
            );
}
