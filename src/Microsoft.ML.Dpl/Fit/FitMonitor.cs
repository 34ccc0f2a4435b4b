using System.Diagnostics;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Adds times to the engine's progress, hands it to the caller, logs the epochs, and watches both ways of cancelling.</summary>
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
            // A stage that continues from a checkpoint does not begin with its first step.
            (_stage, _before) = (now.Stage, done);
            // The first step's own time is not seen, so it counts neither as time nor as a step.
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
