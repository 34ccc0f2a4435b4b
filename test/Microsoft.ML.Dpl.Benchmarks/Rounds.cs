using System.Diagnostics;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The timing of one workload over several rounds.</summary>
/// <param name="Median">The median, in seconds.</param>
/// <param name="Spread">Slowest minus fastest, in seconds.</param>
internal sealed record Timing(double Median, double Spread);

/// <summary>A workload to measure.</summary>
/// <param name="Name">The name under which its timing is reported.</param>
/// <param name="Run">The workload.</param>
/// <param name="WarmUp">What to run as a warm-up; null: the workload itself.</param>
/// <param name="IsLong">Whether it takes so long that the machine's speed may change meanwhile: the other workloads are then measured both
/// before and after it.</param>
internal sealed record Work(string Name, Action Run, Action? WarmUp = null, bool IsLong = false);

/// <summary>Measures several workloads in turn, round after round, so that other load on the machine affects all of them equally.</summary>
internal static class Rounds
{
    /// <param name="works">The workloads to measure.</param>
    /// <param name="repeats">Measured rounds, at least 1; each workload is run once before them to warm up.</param>
    /// <param name="shortRepeats">How many times in succession the workloads that are not long are measured before, between and after the
    /// long ones of a round.</param>
    /// <param name="finish">Waits for asynchronous work that a workload has started; null: the workload is complete when it
    /// returns.</param>
    public static Dictionary<string, Timing> Measure(IReadOnlyList<Work> works, int repeats, int shortRepeats = 1, Action? finish = null)
    {
        Work[] shorts = [.. Enumerable.Repeat(works.Where(work => !work.IsLong), shortRepeats).SelectMany(work => work)];
        Work[] inTurn = [.. shorts, .. works.Where(work => work.IsLong).SelectMany(work => (Work[])[work, .. shorts])];
        var times = works.ToDictionary(w => w.Name, _ => new List<double>());
        foreach (Work work in works)
            (work.WarmUp ?? work.Run)();
        finish?.Invoke();
        for (int round = 0; round < repeats; round++)
        {
            foreach (Work work in inTurn)
            {
                long began = Stopwatch.GetTimestamp();
                work.Run();
                finish?.Invoke();
                times[work.Name].Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            }
        }
        return times.ToDictionary(
            t => t.Key,
            t =>
            {
                t.Value.Sort();
                int count = t.Value.Count;
                double median = (t.Value[(count - 1) / 2] + t.Value[count / 2]) / 2;
                return new Timing(median, t.Value[^1] - t.Value[0]);
            }
        );
    }
}
