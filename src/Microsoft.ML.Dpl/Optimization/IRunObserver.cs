namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Receives every step, and may end the run before the next one.</summary>
internal interface IRunObserver
{
    /// <exception cref="OperationCanceledException">The run is to end now.</exception>
    void ThrowIfCancelled();

    /// <param name="now">Where the run stands; without times, which only the fit's own observer adds.</param>
    void Report(FitProgress now);
}
