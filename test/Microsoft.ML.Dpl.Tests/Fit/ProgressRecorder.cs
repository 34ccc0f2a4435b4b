namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Keeps every report, then does something with it.</summary>
internal sealed class ProgressRecorder(Action<FitProgress>? then = null) : IProgress<FitProgress>
{
    public List<FitProgress> Seen { get; } = [];

    public void Report(FitProgress value)
    {
        Seen.Add(value);
        then?.Invoke(value);
    }
}
