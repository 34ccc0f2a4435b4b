using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>What a worker answers for each run, as a line of JSON.</summary>
/// <param name="Run">Its place in the plan, from 0.</param>
/// <param name="Error">Why it could not be done; null: its file is there.</param>
internal sealed record WorkerAnswer(int Run, string? Error);

/// <summary>
/// The side of a study that runs in a process of its own: reads the places of runs from the standard input, one a line, and answers each
/// when it is done. The end of the input ends it, also in the middle of a run: then whoever asked is gone.
/// </summary>
/// <param name="plan">The plan.</param>
/// <param name="folder">Where results go.</param>
/// <param name="open">Makes what runs, given the token that ends it.</param>
internal sealed class StudyWorker(StudyPlan plan, StudyFolder folder, Func<CancellationToken, StudyRunner> open)
{
    /// <param name="input">Places of runs.</param>
    /// <param name="output">Answers.</param>
    /// <param name="cancellationToken">Ends it, too.</param>
    public void Work(TextReader input, TextWriter output, CancellationToken cancellationToken)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var places = new BlockingCollection<int>();
        bool isBusy = false;
        var reader = new Thread(() =>
        {
            while (input.ReadLine() is { } line)
                places.Add(int.Parse(line, CultureInfo.InvariantCulture), CancellationToken.None);
            places.CompleteAdding();
            if (Volatile.Read(ref isBusy))
                gone.Cancel();
        })
        {
            IsBackground = true,
        };
        StudyRunner runner = open(gone.Token);
        reader.Start();
        foreach (int place in places.GetConsumingEnumerable(gone.Token))
        {
            Volatile.Write(ref isBusy, true);
            string? error = StudyJobs.Try(() => folder.Write(plan.Runs[place], runner.Run(plan.Runs[place])));
            Volatile.Write(ref isBusy, false);
            output.WriteLine(JsonSerializer.Serialize(new WorkerAnswer(place, error), ToolJson.Line));
            output.Flush();
        }
    }
}
