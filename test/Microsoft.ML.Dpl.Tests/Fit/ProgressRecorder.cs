namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Records every report, then calls a callback with it.</summary>
internal sealed class ProgressRecorder(Action<FitProgress>? then = null) : IProgress<FitProgress>
{
    public List<FitProgress> Seen { get; } = [];

    public void Report(FitProgress value)
    {
        Seen.Add(value);
        then?.Invoke(value);
    }
}
