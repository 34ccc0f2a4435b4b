using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>What the test pictures say.</summary>
internal static class TestSections
{
    private const int LargestMatrix = 30, ShownConfusions = 20;
    private const string NoTest = "There were no test pictures.";

    public static Section Accuracy(FitResults results)
    {
        const string id = "accuracy", title = "Accuracy";
        if (results.Test is not { } test) return Section.Missing(id, title, NoTest);
        ComparisonRow[] rows = [new ComparisonRow("this model", test.Accuracy, test.MacroAccuracy, results.Configuration), .. results.Comparison];
        Markup body = Markup.Join(rows.Select((row, i) => Markup.Of($"""
            <tr class="{(i == 0 ? "own" : "")}"><th scope="row">{row.Name}</th><td class="number">{Written.Percent(row.Accuracy.Accuracy)}</td>
            <td class="whisker"><i style="--at:{row.Accuracy.Accuracy:0.0000};--from:{row.Accuracy.Lower:0.0000};--to:{row.Accuracy.Upper:0.0000}"></i></td>
            <td class="number">{Written.Percent(row.Accuracy.Lower)} to {Written.Percent(row.Accuracy.Upper)}</td><td class="number">{(row.MacroAccuracy is double macro ? Written.Percent(macro) : "–")}</td>
            <td><code>{row.Configuration?.ToString() ?? "–"}</code></td></tr>
            """)));
        Markup alone = results.Comparison.Count == 0 ? Markup.Of($"""<p class="missing">Nothing else was run on these pictures to compare with.</p>""") : Markup.Empty;
        return new Section(id, title, Markup.Of($"""
            <p>{test.Predictions.Count} test pictures; intervals hold the accuracy on further such pictures with 95 % confidence (Wilson). Log-loss {Written.Number(test.LogLoss)} nats.</p>
            <div class="wide"><table><thead><tr><th>model</th><th class="number">accuracy</th><th>0 to 100 %</th><th class="number">interval</th><th class="number">mean of classes</th><th>context lengths</th></tr></thead><tbody>{body}</tbody></table></div>{alone}
            """));
    }

    public static Section Confusion(FitResults results)
    {
        const string id = "confusion", title = "What is taken for what";
        if (results.Test is not { } test) return Section.Missing(id, title, NoTest);
        return new Section(id, title, test.Classes.Count <= LargestMatrix ? Matrix(test) : Markup.Of($"<p>{test.Classes.Count} classes are too many for a matrix; these are taken for each other most often.</p>{Commonest(test)}"));
    }

    public static Section Calibration(FitResults results)
    {
        const string id = "calibration", title = "Can its probabilities be believed?";
        if (results.Test is not { } test) return Section.Missing(id, title, NoTest);
        CalibrationBin[] filled = [.. test.Calibration.Bins.Where(bin => bin.Pictures > 0)];
        double width = 1.0 / test.Calibration.Bins.Count;
        double[] middles = [.. test.Calibration.Bins.Select((bin, i) => (i, bin)).Where(pair => pair.bin.Pictures > 0).Select(pair => (pair.i + 0.5) * width)];
        PlotAxis Share(string label) => new(label) { Minimum = 0, Maximum = 1, Numbers = PlotNumbers.Percent };
        return new Section(id, title, Markup.Of($"""
            <p>Where it says 80 %, 80 % should be right. The expected calibration error (Guo et al. 2017, {test.Calibration.Bins.Count} bins) is {Written.Percent(test.Calibration.ExpectedError)}; 0 is best.</p>
            <div class="plots">
            {CourseSections.Figure(new PlotPicture("reliability", "Accuracy by predicted probability", Share("predicted probability"), Share("accuracy"),
                [
                    new PlotSeries("right", PlotMark.Bars, middles, [.. filled.Select(bin => bin.Accuracy ?? double.NaN)]) { BarWidth = 0.88 * width },
                    new PlotSeries("ideal", PlotMark.Dashes, [0, 1], [0, 1]) { Colour = 0 },
                ]))}
            {CourseSections.Figure(new PlotPicture("confidence", "Pictures by predicted probability", Share("predicted probability"), new PlotAxis("pictures") { Minimum = 0, Numbers = PlotNumbers.Whole },
                [new PlotSeries("pictures", PlotMark.Bars, middles, [.. filled.Select(bin => (double)bin.Pictures)]) { BarWidth = 0.88 * width, Colour = 3 }]))}
            </div>
            """));
    }

    private static Markup Matrix(TestResults test)
    {
        Markup head = Markup.Join(test.Classes.Select((name, i) => Markup.Of($"""<th title="{name}">{i + 1}</th>""")));
        Markup rows = Markup.Join(test.Confusion.Select((row, i) =>
        {
            int sum = row.Sum();
            Markup cells = Markup.Join(row.Select((count, j) => Cell(count, sum == 0 ? 0 : (double)count / sum, i == j, $"{test.Classes[i]} taken for {test.Classes[j]}: {count}")));
            return Markup.Of($"""<tr><th scope="row" title="{test.Classes[i]}"><span class="name">{test.Classes[i]}</span> {i + 1}</th>{cells}<td class="number">{(sum == 0 ? "–" : Written.Percent((double)row[i] / sum))}</td></tr>""");
        }));
        return Markup.Of($"""
            <p>A row for each true class, a column for each predicted one; the darker, the larger the share of the row.</p>
            <div class="wide"><table class="grid matrix"><thead><tr><th>true class</th>{head}<th class="number">right</th></tr></thead><tbody>{rows}</tbody></table></div>
            """);
    }

    private static Markup Cell(int count, double share, bool right, string words)
        => Markup.Of($"""<td class="{(share > 0.5 ? "dark " : "")}{(right ? "right" : "wrong")}" style="--weight:{100 * share:0.0}%" title="{words}">{(count == 0 ? "" : Written.Number(count, "0"))}</td>""");

    private static Markup Commonest(TestResults test)
    {
        var pairs = test.Confusion.SelectMany((row, i) => row.Select((count, j) => (True: i, Predicted: j, Count: count)))
            .Where(pair => pair.True != pair.Predicted && pair.Count > 0).OrderByDescending(pair => pair.Count).Take(ShownConfusions);
        Markup rows = Markup.Join(pairs.Select(pair => Markup.Of($"""<tr><td>{test.Classes[pair.True]}</td><td>{test.Classes[pair.Predicted]}</td><td class="number">{pair.Count} of {test.PerClass[pair.True].Pictures}</td></tr>""")));
        return Markup.Of($"""<div class="wide"><table><thead><tr><th>true class</th><th>taken for</th><th class="number">pictures</th></tr></thead><tbody>{rows}</tbody></table></div>""");
    }
}
