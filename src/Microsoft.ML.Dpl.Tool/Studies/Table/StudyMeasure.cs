using Microsoft.ML.Dpl.Tool.Studies.Protocols;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>A figure of runs, in percent.</summary>
/// <param name="Name">For titles; empty where the protocol has one figure only.</param>
/// <param name="Value">Of one run.</param>
/// <param name="Mean">Of the runs of several columns: the mean over the columns of the mean over each one's runs.</param>
internal sealed record StudyMeasure(string Name, Func<RunResult, double> Value, Func<IReadOnlyList<IReadOnlyList<RunResult>>, double> Mean)
{
    /// <summary>The accuracy of a test.</summary>
    /// <param name="name">For titles.</param>
    /// <param name="test">Of every run.</param>
    public static StudyMeasure Accuracy(string name, string test)
    {
        double Percent(RunResult run) => 100 * run.Tests.First(each => each.Name == test).Accuracy;
        return new StudyMeasure(name, Percent, columns => columns.Average(runs => runs.Average(Percent)));
    }

    /// <summary>The harmonic mean of base and new classes; of several runs and columns that of their means, as in the papers.</summary>
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

/// <summary>A column of a table: a data set, or a test of a transfer.</summary>
/// <param name="Name">Its head.</param>
/// <param name="Has">Whether a run belongs to it.</param>
/// <param name="Measure">What is shown of the run.</param>
/// <param name="InAverage">Whether it counts in the average of the columns.</param>
internal sealed record StudyColumn(string Name, Func<RunResult, bool> Has, StudyMeasure Measure, bool InAverage = true);

/// <summary>A mean over seeds.</summary>
/// <param name="Mean">In percent.</param>
/// <param name="HalfWidth">Of the 95 % interval; null for a single run.</param>
/// <param name="Runs">Over which it goes.</param>
internal sealed record StudyCell(double Mean, double? HalfWidth, int Runs);

/// <summary>How a method differs from the baseline where both were run.</summary>
/// <param name="Pairs">At least one.</param>
/// <param name="Mean">In points.</param>
/// <param name="Low">Of the 95 % bootstrap interval.</param>
/// <param name="High">Likewise.</param>
/// <param name="Wins">Pairs in which the method is ahead.</param>
/// <param name="Losses">Pairs in which the baseline is.</param>
internal sealed record StudyDifference(int Pairs, double Mean, double Low, double High, int Wins, int Losses)
{
    public static StudyDifference? From(IReadOnlyList<double> pairs)
    {
        if (pairs.Count == 0)
            return null;
        (double low, double high) = Bootstrap.Interval(pairs);
        return new StudyDifference(pairs.Count, pairs.Average(), low, high, pairs.Count(d => d > 0), pairs.Count(d => d < 0));
    }
}
