using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>Results of methods (rows) by columns, for one protocol, number of shots and measure.</summary>
/// <param name="protocol">Name of the protocol.</param>
/// <param name="shots">Number of training images per class; null: all images.</param>
/// <param name="measure">Name of the measure; empty if the protocol has only one.</param>
/// <param name="columns">The columns, at least one.</param>
/// <param name="runs">The runs of the protocol.</param>
internal sealed class StudySection(
    string protocol,
    int? shots,
    string measure,
    IReadOnlyList<StudyColumn> columns,
    IReadOnlyList<RunResult> runs
)
{
    public string Protocol => protocol;

    public int? Shots => shots;

    public string Measure => measure;

    public IReadOnlyList<StudyColumn> Columns => columns;

    public string Title =>
        $"{protocol}{(shots is int number ? FormattableString.Invariant($", {number} {(number == 1 ? "shot" : "shots")}") : "")}"
        + (measure.Length > 0 ? $", {measure}" : "");

    /// <summary>Returns a cell; null if the method has no run in the column.</summary>
    public StudyCell? Cell(string method, StudyColumn column)
    {
        RunResult[] of = RunsOf(method, column);
        return of.Length == 0
            ? null
            : new StudyCell(column.Measure.Mean([of]), SeedInterval.HalfWidth([.. of.Select(column.Measure.Value)]), of.Length);
    }

    /// <summary>Returns the mean over the columns, with an interval over the seeds that all of them have; null if a column is empty or
    /// fewer than two columns count.</summary>
    public StudyCell? Average(string method)
    {
        StudyColumn[] counted = [.. columns.Where(column => column.InAverage)];
        RunResult[][] all = [.. counted.Select(column => RunsOf(method, column))];
        if (all.Length < 2 || all.Any(of => of.Length == 0))
            return null;
        int?[] seeds = [.. all[0].Select(run => run.Seed).Where(seed => all.All(of => of.Any(run => run.Seed == seed)))];
        double[] bySeed =
        [
            .. seeds.Select(seed => counted.Zip(all, (column, of) => column.Measure.Value(of.First(run => run.Seed == seed))).Average()),
        ];
        // All columns of a section have the same kind of measure, though possibly of different tests.
        double mean =
            columns[0].Measure == StudyMeasure.Harmonic
                ? StudyMeasure.Harmonic.Mean(all)
                : counted.Zip(all, (column, of) => column.Measure.Mean([of])).Average();
        return new StudyCell(mean, SeedInterval.HalfWidth(bySeed), all.Sum(of => of.Length));
    }

    /// <summary>Returns the method minus the baseline in percentage points, for each run of the method whose draw the baseline was also run
    /// on.</summary>
    /// <param name="method">The method.</param>
    /// <param name="baseline">The method to compare with.</param>
    /// <param name="of">The columns to consider.</param>
    public IReadOnlyList<double> Differences(string method, string baseline, IEnumerable<StudyColumn> of)
    {
        List<double> pairs = [];
        foreach (StudyColumn column in of)
        {
            RunResult[] others = RunsOf(baseline, column),
                mine = RunsOf(method, column);
            // A method that learns nothing was run once for all seeds, so its run is paired with each run of the other method.
            bool baselineIsMany = mine.All(run => run.Seed is null) && others.Any(run => run.Seed is not null);
            if (baselineIsMany)
                pairs.AddRange(from other in others from run in mine select column.Measure.Value(run) - column.Measure.Value(other));
            else
                pairs.AddRange(
                    from run in mine
                    let other = others.FirstOrDefault(each => each.Seed == run.Seed || each.Seed is null)
                    where other is not null
                    select column.Measure.Value(run) - column.Measure.Value(other)
                );
        }
        return pairs;
    }

    private RunResult[] RunsOf(string method, StudyColumn column) =>
        [.. runs.Where(run => run.Method == method && (run.Shots == shots || !run.Learns) && column.Has(run))];
}
