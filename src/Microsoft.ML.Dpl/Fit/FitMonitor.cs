using System.Diagnostics;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Adds times to the progress of the training loop and reports it to the caller, logs each epoch, and checks both the cancellation
/// token and the cancellation of the ML.NET host.</summary>
internal sealed class FitMonitor(HostLog log, IProgress<FitProgress>? progress, CancellationToken cancellationToken) : IRunObserver
{
    private FitStage? _stage;
    private long _began,
        _before;

    public void ThrowIfCancelled()
    {
        cancellationToken.ThrowIfCancellationRequested();
        MLNetInternals.ThrowIfCanceled(log.Host);
    }

    public void Report(FitProgress now)
    {
        long done = (now.Epoch - 1L) * now.Steps + now.Step,
            all = (long)now.Epochs * now.Steps;
        if (_stage != now.Stage)
        {
            // A stage resumed from a checkpoint does not start at its first step.
            (_stage, _before) = (now.Stage, done);
            // The clock starts when the first step is reported, so that step is left out of both the time and the count.
            _began = Stopwatch.GetTimestamp();
        }
        TimeSpan elapsed = Stopwatch.GetElapsedTime(_began);
        var timed = new FitProgress(now)
        {
            Elapsed = elapsed,
            Remaining = done > _before ? elapsed * ((double)(all - done) / (done - _before)) : null,
        };
        progress?.Report(timed);
        if (timed.EndedEpoch is not null)
            log.Info(timed.ToString());
    }
}
