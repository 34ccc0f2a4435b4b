using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>
/// Does the runs of a study, several side by side in processes of their own: libtorch's number of threads is the process's, so that only
/// so each run has the same number, and with it the same bits, as it has alone.
/// </summary>
/// <param name="plan">The plan.</param>
/// <param name="folder">Where results go.</param>
/// <param name="progress">Is told of each run that ends.</param>
/// <param name="cancellationToken">Ends it; what has ended by then stays.</param>
internal sealed class StudyJobs(StudyPlan plan, StudyFolder folder, StudyProgress progress, CancellationToken cancellationToken)
{
    /// <summary>The verb of a worker, after which plan and folder follow.</summary>
    public const string WorkerVerb = "worker";

    private const int Attempts = 2;

    /// <summary>One after another, in this process.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Here(IEnumerable<int> places, StudyRunner runner)
    {
        foreach (int place in places)
        {
            cancellationToken.ThrowIfCancellationRequested();
            StudyRun run = plan.Runs[place];
            RunResult? result = null;
            string? error = Try(() => folder.Write(run, result = runner.Run(run)));
            if (error is null)
                progress.Ended(run, result!);
            else
                progress.Fails(run, error);
        }
    }

    /// <summary>Side by side in processes of their own, which take the next run as they come free.</summary>
    /// <param name="places">Of the runs in the plan.</param>
    /// <param name="jobs">Processes.</param>
    /// <param name="command">Starts a process, which is a <see cref="StudyWorker"/>.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The system starts no more processes.</exception>
    public void SideBySide(IReadOnlyList<int> places, int jobs, Func<ProcessStartInfo> command)
    {
        var queue = new ConcurrentQueue<int>(places);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] workers = [.. Enumerable.Range(0, Math.Min(jobs, places.Count)).Select(_ => Task.Run(() => Serve(queue, command, ending)))];
        try
        {
            Task.WaitAll(workers);
        }
        catch (AggregateException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw e.Flatten().InnerExceptions.FirstOrDefault(inner => inner is not OperationCanceledException) ?? e;
        }
    }

    /// <summary>Does what may fail in one run without harm to the others.</summary>
    /// <returns>What went wrong, in one sentence; null: nothing.</returns>
    public static string? Try(Action work)
    {
        try
        {
            work();
            return null;
        }
        catch (Exception e)
            when (Failure.CauseOf(e)
                    is InvalidDataException
                        or InvalidOperationException
                        or ArgumentException
                        or IOException
                        or UnauthorizedAccessException
                        or DivergedException
                        or OutOfMemoryException
            )
        {
            return Failure.MessageOf(Failure.CauseOf(e));
        }
    }

    /// <summary>Does runs by one process at a time. One that ends before its time costs the run that it was in, which is done once more;
    /// the others are not touched.</summary>
    private async Task Serve(ConcurrentQueue<int> queue, Func<ProcessStartInfo> command, CancellationTokenSource ending)
    {
        WorkerProcess? worker = null;
        try
        {
            while (!ending.IsCancellationRequested && queue.TryDequeue(out int place))
            {
                StudyRun run = plan.Runs[place];
                for (int attempt = 1; ; attempt++)
                {
                    worker ??= WorkerProcess.Start(command());
                    if (await worker.Do(place, ending.Token) is { } answer)
                    {
                        Tell(run, answer);
                        break;
                    }
                    string end = await worker.End(ending.Token);
                    await worker.DisposeAsync();
                    worker = null;
                    if (attempt < Attempts)
                    {
                        progress.Repeats(run, $"{end}; it is done once more.");
                        continue;
                    }
                    progress.Fails(run, $"{end}, for the second time. Give the command again, with fewer --jobs where memory was short.");
                    break;
                }
            }
        }
        catch
        {
            await ending.CancelAsync();
            throw;
        }
        finally
        {
            if (worker is not null)
                await worker.DisposeAsync();
        }
    }

    private void Tell(StudyRun run, WorkerAnswer answer)
    {
        if (answer.Error is { } error)
            progress.Fails(run, error);
        else
            progress.Ended(run, RunResult.TryRead(folder.FileOf(run))!);
    }
}
