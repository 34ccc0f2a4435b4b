namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>How long each stage of a fit took; called on the fit's own thread at every step.</summary>
internal sealed class StageClock : IProgress<DplProgress>
{
    public TimeSpan Search { get; private set; }

    public TimeSpan Training { get; private set; }

    public void Report(DplProgress value)
    {
        if (value.Stage == DplStage.Search)
            Search = value.Elapsed;
        else
            Training = value.Elapsed;
    }
}
