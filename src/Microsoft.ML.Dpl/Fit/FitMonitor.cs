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
        TimeSpan? remaining = done > _before ? elapsed * ((double)(all - done) / (done - _before)) : null;
        var now = new DplProgress
        {
            Stage = report.Stage,
            Epoch = report.Epoch + 1,
            Epochs = report.Epochs,
            Step = report.Step + 1,
            Steps = report.Steps,
            LearningRate = report.LearningRate,
            TrainLoss = report.TrainLoss,
            ValidationLoss = report.ValidationLoss,
            ValidationAccuracy = report.ValidationAccuracy,
            Elapsed = elapsed,
            Remaining = remaining,
            EndedEpoch = report.Ended is { } ended ? FiguresOf(ended) : null,
        };
        progress?.Report(now);
        if (report.Ended is not null)
            log.Info(now.ToString());
    }

    private static DplEpochMetrics FiguresOf(EpochReport epoch) =>
        new()
        {
            TrainLoss = epoch.TrainLoss,
            ValidationLoss = epoch.ValidationLoss,
            ValidationAccuracy = epoch.ValidationAccuracy,
            DecidedLayers = epoch.DecidedLayers,
            LargestAlphaChange = epoch.LargestAlphaChange,
            TextAlphas = epoch.Alphas?.Text,
            ImageAlphas = epoch.Alphas?.Image,
        };
}
