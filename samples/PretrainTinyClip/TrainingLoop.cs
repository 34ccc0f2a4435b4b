using System.Diagnostics;

namespace PretrainTinyClip;

/// <summary>Takes steps, reports means of their losses and saves now and then, until a run is at its end or is cancelled.</summary>
internal sealed class TrainingLoop
{
    /// <summary>Takes a step and returns its losses, always as many.</summary>
    public required Func<double[]> Step { get; init; }

    /// <summary>Is told of the end of every step, and says whether it was the last one.</summary>
    public required Func<RunPosition, bool> IsLast { get; init; }

    /// <summary>Hears the losses' means and steps a second since it was called last.</summary>
    public required Action<double[], double> Report { get; init; }

    /// <summary>Steps between reports, at least 1.</summary>
    public required int ReportEvery { get; init; }

    public required Action Save { get; init; }

    /// <summary>Time between saves.</summary>
    public required TimeSpan SaveEvery { get; init; }

    /// <param name="position">Where the run stands; it is not at its end.</param>
    /// <param name="cancellationToken">Ends the run after the step in hand.</param>
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
