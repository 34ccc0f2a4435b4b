using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>
/// Executes the runs of a study, in parallel in separate processes if there are several jobs: libtorch's number of threads is per process,
/// so only in this way does each run have the same number of threads, and hence bitwise the same results, as when it runs alone.
/// </summary>
/// <param name="plan">The plan.</param>
/// <param name="folder">Folder of the results.</param>
/// <param name="progress">Notified of each run that ends.</param>
/// <param name="cancellationToken">Cancels the execution; completed runs are kept.</param>
internal sealed class StudyJobs(StudyPlan plan, StudyFolder folder, StudyProgress progress, CancellationToken cancellationToken)
{
    /// <summary>The hidden command of a worker; plan and folder follow it.</summary>
    public const string WorkerVerb = "worker";

    private const int Attempts = 2;

    /// <summary>Executes runs sequentially in this process.</summary>
    /// <exception cref="OperationCanceledException">The execution was cancelled.</exception>
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

    /// <summary>Executes runs in parallel in worker processes, each of which takes the next run when it is free.</summary>
    /// <param name="places">Zero-based positions of the runs in the plan.</param>
    /// <param name="jobs">Number of processes.</param>
    /// <param name="command">Returns the command line that starts a <see cref="StudyWorker"/>.</param>
    /// <exception cref="OperationCanceledException">The execution was cancelled.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The system cannot start another process.</exception>
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

    /// <summary>Executes work whose expected failures concern a single run and must not stop the others.</summary>
    /// <returns>The error message, one sentence; null on success.</returns>
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

    /// <summary>Executes runs with one worker process at a time. If the process ends unexpectedly, its current run is repeated once in a
    /// new process; other runs are not affected.</summary>
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
                        progress.Repeats(run, $"{end}; it is repeated.");
                        continue;
                    }
                    progress.Fails(run, $"{end}, for the second time. Run the command again, with fewer --jobs if memory was short.");
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
