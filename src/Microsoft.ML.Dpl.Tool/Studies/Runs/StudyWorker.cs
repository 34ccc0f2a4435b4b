using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>A worker's answer for each run, as a line of JSON.</summary>
/// <param name="Run">Zero-based position of the run in the plan.</param>
/// <param name="Error">Why the run failed; null if it succeeded and its file was written.</param>
internal sealed record WorkerAnswer(int Run, string? Error);

/// <summary>
/// The part of a study that runs in a worker process: it reads positions of runs from the standard input, one per line, and answers each
/// when it is done. The end of the input ends the worker, even in the middle of a run, since it means that the parent process is gone.
/// </summary>
/// <param name="plan">The plan.</param>
/// <param name="folder">Folder of the results.</param>
/// <param name="open">Creates the runner, given a token that cancels it.</param>
internal sealed class StudyWorker(StudyPlan plan, StudyFolder folder, Func<CancellationToken, StudyRunner> open)
{
    /// <param name="input">Positions of runs, one per line.</param>
    /// <param name="output">Receives the answers, one per line.</param>
    /// <param name="cancellationToken">Cancels the work, like the end of the input.</param>
    public void Work(TextReader input, TextWriter output, CancellationToken cancellationToken)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var places = new BlockingCollection<int>();
        int unanswered = 0;
        var reader = new Thread(() =>
        {
            while (input.ReadLine() is { } line)
            {
                Interlocked.Increment(ref unanswered);
                places.Add(int.Parse(line, CultureInfo.InvariantCulture), CancellationToken.None);
            }
            places.CompleteAdding();
            if (Volatile.Read(ref unanswered) > 0)
                gone.Cancel();
        })
        {
            IsBackground = true,
        };
        StudyRunner runner = open(gone.Token);
        reader.Start();
        foreach (int place in places.GetConsumingEnumerable(gone.Token))
        {
            string? error = StudyJobs.Try(() => folder.Write(plan.Runs[place], runner.Run(plan.Runs[place])));
            // Before the answer, after which the parent may end the input.
            Interlocked.Decrement(ref unanswered);
            output.WriteLine(JsonSerializer.Serialize(new WorkerAnswer(place, error), ToolJson.Line));
            output.Flush();
        }
    }
}
