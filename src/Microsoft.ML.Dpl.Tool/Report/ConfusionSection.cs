using System.Globalization;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The confusions: a table of counts if it fits, otherwise a colour map, followed by a table of all classes.</summary>
internal static class ConfusionSection
{
    private const int LargestMatrix = 30,
        WideMatrix = 15,
        LargestMap = 200,
        ShownConfusions = 20;

    public static Section Create(FitResults results)
    {
        const string id = "confusion",
            title = "Which classes are confused";
        if (results.Test is not { } test)
            return Section.Missing(id, title, TestSections.NoTest);
        Markup whole = test.Classes.Count switch
        {
            <= LargestMatrix => Matrix(test),
            <= LargestMap => Markup.Format($"{ConfusionMap.Create(test)}{Commonest(test)}"),
            _ => Markup.Format($"<p>{test.Classes.Count} classes are too many for a matrix.</p>{Commonest(test)}"),
        };
        return new Section(id, title, Markup.Format($"{whole}{Classes(test)}"));
    }

    private static Markup Matrix(TestResults test)
    {
        Markup head = Markup.Join(test.Classes.Select((name, i) => Markup.Format($"""<th scope="col" title="{name}">{i + 1}</th>""")));
        Markup rows = Markup.Join(
            test.Confusion.Select(
                (row, i) =>
                {
                    int sum = row.Sum();
                    Markup cells = Markup.Join(
                        row.Select((count, j) => Cell(count, sum == 0 ? 0 : (double)count / sum, i == j, Words(test, i, j)))
                    );
                    return Markup.Format(
                        $"""<tr><th scope="row" title="{test.Classes[i]}"><span class="name">{test.Classes[i]}</span> {i + 1}</th>{cells}<td class="number">{(sum == 0 ? "–" : Written.Percent((double)row[i] / sum))}</td></tr>"""
                    );
                }
            )
        );
        return Markup.Format(
            $"""
            <p>A row for each true class, a column for each predicted one, under the number of its row; the stronger the colour, the larger the share of the row.</p>
            <div class="wide"><table class="grid matrix{(
                test.Classes.Count > WideMatrix ? " many" : ""
            )}"><thead><tr><th scope="col">true class</th>{head}<th scope="col" class="number">right</th></tr></thead><tbody>{rows}</tbody></table></div>
            """
        );
    }

    private static Markup Cell(int count, double share, bool right, string words) =>
        Markup.Format(
            $"""<td class="{(right ? "right" : "wrong")}" style="--share:{share:0.000}" title="{words}">{(count == 0 ? "" : Written.Number(count, "0"))}</td>"""
        );

    /// <summary>Describes one cell in words.</summary>
    public static string Words(TestResults test, int truth, int predicted)
    {
        string what = truth == predicted ? "recognised" : $"taken for {Written.Isolated(test.Classes[predicted])}";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Written.Isolated(test.Classes[truth])} {what}: {test.Confusion[truth][predicted]} of {test.PerClass[truth].Images}"
        );
    }

    private static Markup Commonest(TestResults test)
    {
        var pairs = test
            .Confusion.SelectMany((row, i) => row.Select((count, j) => (True: i, Predicted: j, Count: count)))
            .Where(pair => pair.True != pair.Predicted && pair.Count > 0)
            .OrderByDescending(pair => pair.Count)
            .ToArray();
        if (pairs.Length == 0)
            return Markup.Format($"<p>No class is confused with another.</p>");
        Markup rows = Markup.Join(
            pairs
                .Take(ShownConfusions)
                .Select(pair =>
                    Markup.Format(
                        $"""<tr><td>{test.Classes[pair.True]}</td><td>{test.Classes[pair.Predicted]}</td><td class="number">{pair.Count} of {test.PerClass[pair.True].Images}</td></tr>"""
                    )
                )
        );
        string which =
            pairs.Length > ShownConfusions
                ? $"The {ShownConfusions} commonest of {pairs.Length} confusions"
                : "All confusions, the commonest first";
        return Markup.Format(
            $"""
            <h3>{which}</h3>
            <div class="wide"><table class="named"><thead><tr><th scope="col">true class</th><th scope="col">taken for</th><th scope="col" class="number">images</th></tr></thead><tbody>{rows}</tbody></table></div>
            """
        );
    }

    /// <summary>The table of all classes, lowest recall first.</summary>
    private static Markup Classes(TestResults test)
    {
        var ordered = test
            .PerClass.Select((single, i) => (single, i))
            .OrderBy(pair => pair.single.Images == 0 ? 2 : (double)pair.single.Right / pair.single.Images);
        Markup rows = Markup.Join(
            ordered.Select(pair =>
                Markup.Format(
                    $"""
                    <tr><td class="number">{pair.i
                        + 1}</td><th scope="row">{pair.single.Name}</th><td class="number">{pair.single.Images}</td><td class="number">{Share(
                        pair.single.Right,
                        pair.single.Images
                    )}</td><td class="number">{Share(pair.single.Right, pair.single.Predicted)}</td></tr>
                    """
                )
            )
        );
        return Markup.Format(
            $"""
            <details><summary>All {test.Classes.Count} classes, the least recognised first</summary>
            <p>Recognised: of its images, those taken for it (recall). Rightly: of the images taken for it, its own (precision).</p>
            <div class="wide tall"><table><thead><tr><th scope="col" class="number">number</th><th scope="col">class</th><th scope="col" class="number">images</th><th scope="col" class="number">recognised</th><th scope="col" class="number">rightly</th></tr></thead><tbody>{rows}</tbody></table></div></details>
            """
        );
    }

    private static string Share(int part, int whole) => whole == 0 ? "–" : Written.Percent((double)part / whole);
}
