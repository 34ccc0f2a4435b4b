using System.Diagnostics;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>What several rounds measured.</summary>
/// <param name="Median">Seconds.</param>
/// <param name="Spread">Slowest minus fastest, in seconds.</param>
internal sealed record Timing(double Median, double Spread);

/// <summary>One work to measure.</summary>
/// <param name="Name">Names its times.</param>
/// <param name="Run">The work.</param>
/// <param name="WarmUp">What warms it up; null: the work itself.</param>
/// <param name="IsLong">Whether it takes so long that the machine's speed changes meanwhile: others are then measured before and behind it,
/// too.</param>
internal sealed record Work(string Name, Action Run, Action? WarmUp = null, bool IsLong = false);

/// <summary>Measures several works in turn, round after round, so that whatever else the machine does meets all of them alike.</summary>
internal static class Rounds
{
    /// <param name="works">What to measure.</param>
    /// <param name="repeats">Measured rounds, at least 1; one more before them warms up.</param>
    /// <param name="shortRepeats">How often in succession the works that are not long are measured before, between and behind the long ones
    /// of a round.</param>
    /// <param name="finish">Waits for what a work has set going elsewhere; null: it ends when it returns.</param>
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
                return new Timing(t.Value[t.Value.Count / 2], t.Value[^1] - t.Value[0]);
            }
        );
    }
}
