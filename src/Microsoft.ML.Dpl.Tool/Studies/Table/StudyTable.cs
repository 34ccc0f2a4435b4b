using System.Globalization;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>A part of the table as text cells.</summary>
/// <param name="Title">The heading.</param>
/// <param name="Note">A sentence that explains the numbers.</param>
/// <param name="Header">Headers of the columns.</param>
/// <param name="Rows">Rows with one cell per column.</param>
internal sealed record StudySheet(string Title, string Note, IReadOnlyList<string> Header, IReadOnlyList<IReadOnlyList<string>> Rows);

/// <summary>The results of a study as tables.</summary>
internal sealed class StudyTable
{
    private readonly bool _withSeconds;

    /// <param name="results">The runs.</param>
    /// <param name="baseline">The method that the others are compared with; null: the first.</param>
    /// <param name="withSeconds">Whether times are shown, which differ when a study is repeated.</param>
    /// <exception cref="ArgumentException">No run has that method.</exception>
    public StudyTable(StudyResults results, string? baseline, bool withSeconds)
    {
        (Results, Baseline, _withSeconds) = (results, baseline ?? results.Methods[0], withSeconds);
        if (!results.Methods.Contains(Baseline))
            throw new ArgumentException(
                $"--baseline '{Baseline}' is not a method of these runs: {string.Join(", ", results.Methods.Select(m => $"'{m}'"))}."
            );
        Sections = [.. StudyProtocols.All.SelectMany(protocol => SectionsOf(results, protocol))];
    }

    public StudyResults Results { get; }

    public string Baseline { get; }

    /// <summary>The sections in the order of protocols, shots and measures.</summary>
    public IReadOnlyList<StudySection> Sections { get; }

    /// <summary>All sheets: accuracies, differences from the baseline, and costs.</summary>
    public IReadOnlyList<StudySheet> Sheets => [.. Sections.Select(Accuracies), .. Differences(), Costs()];

    /// <summary>Mean seconds of a fit over all runs of a method; null if times are not shown.</summary>
    public double? FitSeconds(string method) =>
        _withSeconds ? Results.Runs.Where(run => run.Method == method).Average(run => run.FitSeconds) : null;

    private static IEnumerable<StudySection> SectionsOf(StudyResults results, IStudyProtocol protocol)
    {
        RunResult[] runs = [.. results.Runs.Where(run => run.Protocol == protocol.Name)];
        int?[] shots = [.. runs.Where(run => run.Learns).Select(run => run.Shots).Distinct().Order()];
        foreach (int? number in shots.Length > 0 || runs.Length == 0 ? shots : [null])
        foreach (var (name, columns) in ColumnsOf(results, protocol, runs))
            yield return new StudySection(protocol.Name, number, name, columns, runs);
    }

    private static IEnumerable<(string Name, IReadOnlyList<StudyColumn> Columns)> ColumnsOf(
        StudyResults results,
        IStudyProtocol protocol,
        RunResult[] runs
    )
    {
        string[] trained = [.. results.DataSets.Where(name => runs.Any(run => run.Data == name))];
        if (protocol.HasSource)
        {
            foreach (string source in trained)
            {
                string[] tests = [.. results.DataSets.Where(name => runs.Any(run => run.Data == source && HasTest(run, name)))];
                yield return (
                    $"trained on {source}",
                    [
                        .. tests
                            .OrderBy(name => name != source)
                            .Select(name => new StudyColumn(
                                name == source ? $"{name} (source)" : name,
                                run => run.Data == source && HasTest(run, name),
                                StudyMeasure.Accuracy("", name),
                                InAverage: name != source
                            )),
                    ]
                );
            }
            yield break;
        }
        StudyMeasure[] measures =
            protocol is BaseToNew
                ?
                [
                    StudyMeasure.Accuracy("base classes", BaseToNew.Base),
                    StudyMeasure.Accuracy("new classes", BaseToNew.New),
                    StudyMeasure.Harmonic,
                ]
                : [StudyMeasure.Accuracy("", FewShot.Test)];
        foreach (StudyMeasure measure in measures)
            yield return (measure.Name, [.. trained.Select(name => new StudyColumn(name, run => run.Data == name, measure))]);
    }

    private static bool HasTest(RunResult run, string name) => run.Tests.Any(test => test.Name == name);

    private StudySheet Accuracies(StudySection section)
    {
        bool hasAverage = section.Columns.Count(column => column.InAverage) > 1;
        return new StudySheet(
            section.Title,
            "Accuracy in %, mean over seeds ± half of its 95 % interval (Student), where there are two seeds or more.",
            ["method", .. section.Columns.Select(column => column.Name), .. hasAverage ? new[] { "average" } : []],
            [
                .. Results
                    .Methods.Where(method => section.Columns.Any(column => section.Cell(method, column) is not null))
                    .Select(method =>
                        (string[])
                            [
                                method,
                                .. section.Columns.Select(column => Written(section.Cell(method, column))),
                                .. hasAverage ? new[] { Written(section.Average(method)) } : [],
                            ]
                    ),
            ]
        );
    }

    private IEnumerable<StudySheet> Differences()
    {
        string[][] rows =
        [
            .. from section in Sections
            from method in Results.Methods
            where method != Baseline
            let difference = StudyDifference.From(section.Differences(method, Baseline, section.Columns.Where(column => column.InAverage)))
            where difference is not null
            select new[]
            {
                section.Title,
                method,
                Whole(difference.Pairs),
                Signed(difference.Mean),
                difference.Interval is { } interval ? $"{Signed(interval.Low)} to {Signed(interval.High)}" : "–",
                $"{Whole(difference.Wins)} / {Whole(difference.Pairs - difference.Wins - difference.Losses)} / {Whole(difference.Losses)}",
            },
        ];
        if (rows.Length > 0)
            yield return new StudySheet(
                $"Minus {Baseline}",
                "Differences in points on the same draws, over all data sets and seeds, with their 95 % interval (bootstrap; Student with "
                    + "two to five pairs; none with one); pairs won, tied and lost.",
                ["what", "method", "pairs", "points", "95 % interval", "won / equal / lost"],
                rows
            );
    }

    private StudySheet Costs()
    {
        string known =
            Results.Planned is int planned && planned > Results.Runs.Count
                ? $" {Whole(Results.Runs.Count)} of {Whole(planned)} planned runs are there."
                : "";
        string?[] mixed = [Results.MixedVersions, .. Results.MixedSettings];
        foreach (string sentence in mixed.OfType<string>())
            known += $" {sentence}";
        return new StudySheet(
            "Cost",
            $"Numbers that are learnt from images{(_withSeconds ? ", and seconds of wall time a run, means over all runs" : "")}.{known}",
            ["method", "runs", "trained numbers", .. _withSeconds ? new[] { "seconds to fit", "seconds to test" } : []],
            [
                .. Results.Methods.Select(method =>
                {
                    RunResult[] runs = [.. Results.Runs.Where(run => run.Method == method)];
                    long least = runs.Min(run => run.TrainedNumbers),
                        most = runs.Max(run => run.TrainedNumbers);
                    return (string[])
                        [
                            method,
                            Whole(runs.Length),
                            least == most ? Whole(least) : $"{Whole(least)} to {Whole(most)}",
                            .. _withSeconds
                                ? new[] { Decimal(runs.Average(run => run.FitSeconds)), Decimal(runs.Average(run => run.TestSeconds)) }
                                : [],
                        ];
                }),
            ]
        );
    }

    private static string Written(StudyCell? cell) =>
        cell is null ? ""
        : cell.HalfWidth is double half ? $"{Decimal(cell.Mean)} ± {Decimal(half)}"
        : Decimal(cell.Mean);

    private static string Decimal(double value) => value.ToString("f1", CultureInfo.InvariantCulture);

    private static string Signed(double value) => value.ToString("+0.0;−0.0;0.0", CultureInfo.InvariantCulture);

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);
}
