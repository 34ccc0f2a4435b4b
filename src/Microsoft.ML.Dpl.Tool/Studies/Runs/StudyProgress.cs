using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>Shows the progress of a study over all of its runs. Thread-safe.</summary>
internal sealed class StudyProgress
{
    private readonly ProgressMode _mode;
    private readonly ProgressTask? _bar;
    private readonly int _jobs;
    private readonly Lock _lock = new();
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly List<StudyRun> _left;
    private readonly int _all;
    private readonly List<(StudyRun Run, double Seconds)> _times;

    /// <param name="mode">How progress is shown.</param>
    /// <param name="bar">The progress bar; null to write lines.</param>
    /// <param name="jobs">Number of runs in parallel.</param>
    /// <param name="done">Runs that were done before, and their times.</param>
    /// <param name="left">Runs that are still to be done.</param>
    public StudyProgress(
        ProgressMode mode,
        ProgressTask? bar,
        int jobs,
        IReadOnlyList<(StudyRun Run, double Seconds)> done,
        IReadOnlyList<StudyRun> left
    )
    {
        (_mode, _bar, _jobs, _left, _all) = (mode, bar, jobs, [.. left], done.Count + left.Count);
        _times = [.. done];
        Show();
    }

    /// <summary>Number of runs that failed.</summary>
    public int Failed { get; private set; }

    /// <summary>Reports that a run has succeeded and its result is on disk.</summary>
    public void Ended(StudyRun run, RunResult result)
    {
        lock (_lock)
        {
            _left.Remove(run);
            double seconds = result.FitSeconds + result.TestSeconds;
            _times.Add((run, seconds));
            string tests = string.Join(
                ", ",
                result.Tests.Select(test => string.Create(CultureInfo.InvariantCulture, $"{test.Name} {test.Accuracy:p1}"))
            );
            Say(run, $"{tests}, {seconds.ToString("f0", CultureInfo.InvariantCulture)} s", new { tests = result.Tests, seconds });
            foreach (string warning in result.Warnings)
                Terminal.Warn($"{run}: {warning}");
        }
    }

    /// <summary>Reports that a run is repeated.</summary>
    public void Repeats(StudyRun run, string message)
    {
        lock (_lock)
            Terminal.Warn($"{run}: {message}");
    }

    /// <summary>Reports that a run has failed; the others continue.</summary>
    public void Fails(StudyRun run, string message)
    {
        lock (_lock)
        {
            _left.Remove(run);
            Failed++;
            Terminal.Fail($"{run}: {message}");
            Show();
        }
    }

    /// <summary>Estimates the remaining seconds from the mean time of runs with the same method and data set, otherwise the same method,
    /// otherwise of all runs; null if none is done yet.</summary>
    private double? Left()
    {
        if (_times.Count == 0)
            return null;
        double Expected(StudyRun run)
        {
            (StudyRun Run, double Seconds)[] same = [.. _times.Where(time => time.Run.Method.Name == run.Method.Name)],
                closer = [.. same.Where(time => time.Run.Data.Name == run.Data.Name)];
            IReadOnlyList<(StudyRun Run, double Seconds)> known =
                closer.Length > 0 ? closer
                : same.Length > 0 ? same
                : _times;
            return known.Average(time => time.Seconds);
        }
        return _left.Sum(Expected) / Math.Max(1, Math.Min(_jobs, _left.Count));
    }

    private void Say(StudyRun run, string figures, object values)
    {
        int done = _all - _left.Count;
        double? left = Left();
        if (_mode == ProgressMode.Json)
            Terminal.WriteJson(
                new
                {
                    run = $"{run}",
                    done,
                    runs = _all,
                    values,
                    remainingSeconds = left,
                }
            );
        else if (_bar is null)
            Terminal.Note(
                new Figures()
                    .Add(0, $"{done}/{_all} {run}: {figures}")
                    .Add(1, Figures.Left(left is double s ? TimeSpan.FromSeconds(s) : null))
                    .ToString()
            );
        Show();
    }

    private void Show()
    {
        if (_bar is null)
            return;
        _bar.MaxValue = Math.Max(1, _all);
        _bar.Value = _all - _left.Count;
        _bar.Description = Terminal.Cell(
            new Figures()
                .Add(0, $"{_all - _left.Count}/{_all} runs")
                .Add(1, Figures.Left(Left() is double left ? TimeSpan.FromSeconds(left) : null))
                .Add(2, $"{Figures.Time(Stopwatch.GetElapsedTime(_began))} so far")
                .Within(MovingBars.TextWidth)
        );
    }
}
