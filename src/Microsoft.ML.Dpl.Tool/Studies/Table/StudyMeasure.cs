using Microsoft.ML.Dpl.Tool.Studies.Protocols;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>A measure of runs, in percent.</summary>
/// <param name="Name">Name for titles; empty if the protocol has only one measure.</param>
/// <param name="Value">The value of a single run.</param>
/// <param name="Mean">The mean of the runs of several columns: the mean over the columns of the mean over each column's runs.</param>
internal sealed record StudyMeasure(string Name, Func<RunResult, double> Value, Func<IReadOnlyList<IReadOnlyList<RunResult>>, double> Mean)
{
    /// <summary>The accuracy of a test.</summary>
    /// <param name="name">Name for titles.</param>
    /// <param name="test">Name of the test, which every run must have.</param>
    public static StudyMeasure Accuracy(string name, string test)
    {
        double Percent(RunResult run) => 100 * run.Tests.First(each => each.Name == test).Accuracy;
        return new StudyMeasure(name, Percent, columns => columns.Average(runs => runs.Average(Percent)));
    }

    /// <summary>The harmonic mean of base and new classes; for several runs and columns the harmonic mean of their means, as in the
    /// papers.</summary>
    public static StudyMeasure Harmonic { get; } = MakeHarmonic();

    private static StudyMeasure MakeHarmonic()
    {
        StudyMeasure old = Accuracy("", BaseToNew.Base),
            other = Accuracy("", BaseToNew.New);
        return new StudyMeasure(
            "harmonic mean of base and new classes",
            run => Harmonic2(old.Value(run), other.Value(run)),
            columns => Harmonic2(old.Mean(columns), other.Mean(columns))
        );
    }

    private static double Harmonic2(double first, double second) => first + second > 0 ? 2 * first * second / (first + second) : 0;
}

/// <summary>A column of a table: a data set, or a test of a transfer protocol.</summary>
/// <param name="Name">The column's header.</param>
/// <param name="Has">Whether a run belongs to it.</param>
/// <param name="Measure">The measure to show.</param>
/// <param name="InAverage">Whether the column counts in the average of the columns.</param>
internal sealed record StudyColumn(string Name, Func<RunResult, bool> Has, StudyMeasure Measure, bool InAverage = true);

/// <summary>A mean over seeds.</summary>
/// <param name="Mean">The mean in percent.</param>
/// <param name="HalfWidth">Half the width of the 95 % interval; null for a single run.</param>
/// <param name="Runs">Number of runs averaged.</param>
internal sealed record StudyCell(double Mean, double? HalfWidth, int Runs);

/// <summary>The difference between a method and the baseline over the draws on which both were run.</summary>
/// <param name="Pairs">Number of pairs, at least one.</param>
/// <param name="Mean">Mean difference in percentage points.</param>
/// <param name="Interval">The 95 % interval in percentage points; null for a single pair.</param>
/// <param name="Wins">Number of pairs in which the method is better.</param>
/// <param name="Losses">Number of pairs in which the baseline is better.</param>
internal sealed record StudyDifference(int Pairs, double Mean, (double Low, double High)? Interval, int Wins, int Losses)
{
    /// <param name="pairs">The differences of the pairs in percentage points.</param>
    /// <returns>Null if there are no pairs.</returns>
    public static StudyDifference? From(IReadOnlyList<double> pairs) =>
        pairs.Count == 0
            ? null
            : new StudyDifference(
                pairs.Count,
                pairs.Average(),
                DifferenceInterval.Compute(pairs),
                pairs.Count(d => d > 0),
                pairs.Count(d => d < 0)
            );
}
