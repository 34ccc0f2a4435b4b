using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Tests.Optimization;

/// <summary>Records the report of every step, and lets a test act at each of them.</summary>
internal sealed class StepRecorder : IRunObserver
{
    public List<FitProgress> Reports { get; } = [];

    /// <summary>Called before every step and every batch of an evaluation; may throw to end the run.</summary>
    public Action Before { get; init; } = () => { };

    /// <summary>Called with every report, while the step's gradients still exist.</summary>
    public Action<FitProgress> After { get; init; } = _ => { };

    public void ThrowIfCancelled() => Before();

    public void Report(FitProgress now)
    {
        Reports.Add(now);
        After(now);
    }
}
