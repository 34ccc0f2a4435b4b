using System.Globalization;
using Microsoft.ML.Dpl.Tool.Studies.Table;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>Means of methods over tasks and seeds, and differences between two methods where both were run.</summary>
/// <param name="runs">All runs.</param>
internal sealed class EvidenceTable(IReadOnlyList<EvidenceRun> runs)
{
    /// <summary>The name of the method that <see cref="WithBestUniform"/> adds.</summary>
    public const string BestUniform = "best uniform by validation";

    /// <summary>The runs, and for every task and seed with uniform prompts of several lengths the run with the best validation accuracy,
    /// the shortest among equals: the choice of a user who trains all of them.</summary>
    public static IReadOnlyList<EvidenceRun> WithBestUniform(IReadOnlyList<EvidenceRun> runs) =>
        [
            .. runs,
            .. runs.Where(run => run.Method.StartsWith("uniform:", StringComparison.Ordinal) && !run.Method.Contains(' '))
                .GroupBy(run => (run.Task, run.Seed))
                .Where(group => group.Count() > 1)
                .Select(group =>
                {
                    EvidenceRun[] byLength = [.. group.OrderBy(run => int.Parse(run.Method[8..], CultureInfo.InvariantCulture))];
                    return byLength.MaxBy(run => run.ValidationAccuracy)! with
                    {
                        Method = BestUniform,
                        Seconds = byLength.Sum(run => run.Seconds),
                    };
                }),
        ];

    /// <summary>Prints the means over the seeds for each task, and below them the paired differences.</summary>
    /// <param name="baseline">The method that the others are compared with; null: no differences.</param>
    public void Print(string? baseline)
    {
        string[] methods = [.. runs.Select(run => run.Method).Distinct()],
            tasks = [.. runs.Select(run => run.Task).Distinct().Order(StringComparer.Ordinal)];
        var table = new Table().AddColumn("task");
        foreach (string method in methods)
            table.AddColumn(method);
        foreach (string task in tasks)
            table.AddRow([task, .. methods.Select(method => Mean(Of(task, method)))]);
        table.AddRow(["mean of all", .. methods.Select(method => Mean(runs.Where(run => run.Method == method)))]);
        table.AddRow(["runs", .. methods.Select(method => $"{runs.Count(run => run.Method == method)}")]);
        table.AddRow(["seconds", .. methods.Select(method => Number(runs.Where(run => run.Method == method).Average(run => run.Seconds)))]);
        if (runs.Any(run => run.Base is not null))
        {
            table.AddRow(["base classes", .. methods.Select(method => Mean(runs.Where(run => run.Method == method), run => run.Base))]);
            table.AddRow(["new classes", .. methods.Select(method => Mean(runs.Where(run => run.Method == method), run => run.New))]);
        }
        AnsiConsole.Write(table);
        PrintAgreement(methods);
        if (baseline is null)
            return;
        var differences = new Table().AddColumn($"minus {baseline}").AddColumn("pairs").AddColumn("points").AddColumn("95 % interval");
        foreach (string method in methods.Where(method => method != baseline))
        {
            double[] pairs = Differences(method, baseline);
            if (pairs.Length == 0)
                continue;
            (double low, double high) = Bootstrap.Interval(pairs);
            differences.AddRow(method, $"{pairs.Length}", Signed(pairs.Average()), $"{Signed(low)} to {Signed(high)}");
        }
        AnsiConsole.Write(differences);
    }

    private void PrintAgreement(IReadOnlyList<string> methods)
    {
        var table = new Table()
            .AddColumn("two searches of a task")
            .AddColumn("pairs")
            .AddColumn("layers alike, %")
            .AddColumn("by chance, %");
        table.AddColumn("points").AddColumn("95 % interval");
        foreach (string method in methods)
        {
            IReadOnlyList<SearchAgreement> pairs = SearchAgreement.Compute(runs.Where(run => run.Method == method));
            if (pairs.Count == 0)
                continue;
            double[] points = [.. pairs.Select(pair => 100 * (pair.Alike - pair.ByChance))];
            (double low, double high) = Bootstrap.Interval(points);
            table.AddRow(
                method,
                $"{pairs.Count}",
                Number(100 * pairs.Average(pair => pair.Alike)),
                Number(100 * pairs.Average(pair => pair.ByChance)),
                Signed(points.Average()),
                $"{Signed(low)} to {Signed(high)}"
            );
        }
        if (table.Rows.Count > 0)
            AnsiConsole.Write(table);
    }

    /// <summary>Accuracy of one method minus that of another, in percentage points, for every task and seed on which both were
    /// run.</summary>
    public double[] Differences(string method, string baseline)
    {
        var ofBaseline = runs.Where(run => run.Method == baseline).ToDictionary(run => (run.Task, run.Seed), run => run.Accuracy);
        return
        [
            .. runs.Where(run => run.Method == method && ofBaseline.ContainsKey((run.Task, run.Seed)))
                .Select(run => 100 * (run.Accuracy - ofBaseline[(run.Task, run.Seed)])),
        ];
    }

    private IEnumerable<EvidenceRun> Of(string task, string method) => runs.Where(run => run.Task == task && run.Method == method);

    private static string Mean(IEnumerable<EvidenceRun> runs) => runs.Any() ? Number(100 * runs.Average(run => run.Accuracy)) : "";

    private static string Mean(IEnumerable<EvidenceRun> runs, Func<EvidenceRun, double?> value) =>
        runs.Select(value).OfType<double>().ToArray() is { Length: > 0 } all ? Number(100 * all.Average()) : "";

    private static string Number(double value) => value.ToString("f1", CultureInfo.InvariantCulture);

    private static string Signed(double value) => value.ToString("+0.0;−0.0;0.0", CultureInfo.InvariantCulture);
}
