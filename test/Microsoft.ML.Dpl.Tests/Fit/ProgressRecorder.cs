namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Keeps every report, then does something with it.</summary>
internal sealed class ProgressRecorder(Action<DplProgress>? then = null) : IProgress<DplProgress>
{
    public List<DplProgress> Seen { get; } = [];

    public void Report(DplProgress value)
    {
        Seen.Add(value);
        then?.Invoke(value);
    }
}
