using System.Diagnostics;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl;

/// <summary>Turns the engine's steps into progress for the caller and epochs for the log, and watches both ways of cancelling.</summary>
internal sealed class FitMonitor(HostLog log, IProgress<DplProgress>? progress, CancellationToken cancellationToken) : IRunObserver
{
    private DplStage? _stage;
    private long _began,
        _before;

    public void ThrowIfCancelled()
    {
        cancellationToken.ThrowIfCancellationRequested();
        MLNetInternals.ThrowIfCanceled(log.Host);
    }

    public void Report(StepReport report)
    {
        long done = (long)report.Epoch * report.Steps + report.Step + 1,
            all = (long)report.Epochs * report.Steps;
        if (_stage != report.Stage)
        {
            // A stage that goes on from a checkpoint does not begin with its first step.
            (_stage, _before) = (report.Stage, done);
            // The first step's own time is not seen, so it counts neither as time nor as a step.
            _began = Stopwatch.GetTimestamp();
        }
        TimeSpan elapsed = Stopwatch.GetElapsedTime(_began);
        TimeSpan remaining = done > _before ? elapsed * ((double)(all - done) / (done - _before)) : TimeSpan.Zero;
        var now = new DplProgress(
            report.Stage,
            report.Epoch + 1,
            report.Epochs,
            report.Step + 1,
            report.Steps,
            report.LearningRate,
            report.TrainLoss,
            report.ValidationLoss,
            report.ValidationAccuracy,
            elapsed,
            remaining,
            report.Ended is { } e
                ? new DplEpochMetrics(
                    e.TrainLoss,
                    e.ValidationLoss,
                    e.ValidationAccuracy,
                    e.DecidedLayers,
                    e.LargestAlphaChange,
                    e.Alphas?.Text,
                    e.Alphas?.Image
                )
                : null
        );
        progress?.Report(now);
        if (report.Ended is not null)
            log.Info(now.ToString());
    }
}
