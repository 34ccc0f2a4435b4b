namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Measures the duration of each stage of a fit; called on the fit's own thread at every step.</summary>
internal sealed class StageClock : IProgress<FitProgress>
{
    public TimeSpan Search { get; private set; }

    public TimeSpan Training { get; private set; }

    public void Report(FitProgress value)
    {
        if (value.Stage == FitStage.Search)
            Search = value.Elapsed;
        else
            Training = value.Elapsed;
    }
}
