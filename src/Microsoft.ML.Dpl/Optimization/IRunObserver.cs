namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Is notified of every step of a run, and can cancel the run before the next one.</summary>
internal interface IRunObserver
{
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    void ThrowIfCancelled();

    /// <param name="now">The progress of the run, without times, which the fit's own observer adds.</param>
    void Report(FitProgress now);
}
