using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;
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
    /// <param name="folderPath">Where results go.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="InvalidOperationException">A process ended before its time.</exception>
    public void SideBySide(IReadOnlyList<int> places, int jobs, string folderPath)
    {
        var queue = new ConcurrentQueue<int>(places);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] workers =
        [
            .. Enumerable.Range(0, Math.Min(jobs, places.Count)).Select(_ => Task.Run(() => Serve(queue, folderPath, ending))),
        ];
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
                        or DplDivergedException
                        or OutOfMemoryException
            )
        {
            return Failure.MessageOf(Failure.CauseOf(e));
        }
    }

    private async Task Serve(ConcurrentQueue<int> queue, string folderPath, CancellationTokenSource ending)
    {
        using Process worker = Start(folderPath);
        Task<string> said = worker.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            while (!ending.IsCancellationRequested && queue.TryDequeue(out int place))
            {
                StudyRun run = plan.Runs[place];
                string? answer = null;
                try
                {
                    await worker.StandardInput.WriteLineAsync(place.ToString(CultureInfo.InvariantCulture));
                    await worker.StandardInput.FlushAsync(ending.Token);
                    answer = await worker.StandardOutput.ReadLineAsync(ending.Token);
                }
                catch (IOException)
                {
                    // Its end says more than the pipe's.
                }
                if (answer is null)
                    throw new InvalidOperationException(await Ended(worker, run, said, ending.Token));
                if (JsonSerializer.Deserialize<WorkerAnswer>(answer, ToolJson.Line)!.Error is { } error)
                    progress.Fails(run, error);
                else
                    progress.Ended(run, RunResult.TryRead(folder.FileOf(run))!);
            }
        }
        catch
        {
            await ending.CancelAsync();
            throw;
        }
        finally
        {
            // The end of its input ends a worker, in the middle of a run after the step.
            worker.StandardInput.Close();
            await worker.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static async Task<string> Ended(Process worker, StudyRun run, Task<string> said, CancellationToken cancellationToken)
    {
        await worker.WaitForExitAsync(cancellationToken);
        string last = (await said).Trim();
        return $"The process that did the run '{run}' ended with code {worker.ExitCode.ToString(CultureInfo.InvariantCulture)}"
            + $"{(last.Length > 0 ? $": {last}" : ".")} What had ended is kept: give the command again, with fewer --jobs where memory "
            + "was short.";
    }

    private Process Start(string folderPath)
    {
        string program = Environment.ProcessPath!,
            assembly = Assembly.GetExecutingAssembly().Location;
        bool isHost = Path.GetFileNameWithoutExtension(program) == "dotnet";
        return Process.Start(
            new ProcessStartInfo(
                program,
                [.. isHost ? new[] { assembly } : [], "study", WorkerVerb, Path.GetFullPath(plan.File), "--output", folderPath]
            )
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            }
        )!;
    }
}
