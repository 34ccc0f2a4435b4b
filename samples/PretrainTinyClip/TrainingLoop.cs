using System.Diagnostics;

namespace PretrainTinyClip;

/// <summary>Takes steps, reports their mean losses and saves periodically, until a run ends or is cancelled.</summary>
internal sealed class TrainingLoop
{
    /// <summary>Takes a step and returns its losses, always the same number.</summary>
    public required Func<double[]> Step { get; init; }

    /// <summary>Called after every step; returns whether it was the last one.</summary>
    public required Func<RunPosition, bool> IsLast { get; init; }

    /// <summary>Called with the mean losses and the steps per second since the previous call.</summary>
    public required Action<double[], double> Report { get; init; }

    /// <summary>Number of steps between reports, at least 1.</summary>
    public required int ReportEvery { get; init; }

    public required Action Save { get; init; }

    /// <summary>Time between saves.</summary>
    public required TimeSpan SaveEvery { get; init; }

    /// <param name="position">The position of the run, which must not be its end.</param>
    /// <param name="cancellationToken">Ends the run after the current step.</param>
    public void Run(RunPosition position, CancellationToken cancellationToken)
    {
        long began = Stopwatch.GetTimestamp(),
            saved = began,
            reported = began;
        TimeSpan before = position.Elapsed;
        double[] sums = [];
        int since = 0;
        for (bool last = false; !last && !cancellationToken.IsCancellationRequested; )
        {
            double[] losses = Step();
            sums = since++ == 0 ? losses : [.. sums.Zip(losses, (sum, loss) => sum + loss)];
            position = new RunPosition(position.Step + 1, before + Stopwatch.GetElapsedTime(began));
            last = IsLast(position);
            if (position.Step % ReportEvery == 0 || last)
            {
                Report([.. sums.Select(sum => sum / since)], since / Stopwatch.GetElapsedTime(reported).TotalSeconds);
                (since, reported) = (0, Stopwatch.GetTimestamp());
            }
            if (Stopwatch.GetElapsedTime(saved) < SaveEvery)
                continue;
            Save();
            saved = Stopwatch.GetTimestamp();
        }
    }
}
