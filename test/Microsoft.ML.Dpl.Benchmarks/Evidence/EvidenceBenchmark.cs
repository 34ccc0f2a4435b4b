using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>One run of one method on one draw of one task.</summary>
/// <param name="Task">The task.</param>
/// <param name="Seed">The draw, and the seed of the fit.</param>
/// <param name="Method">As given.</param>
/// <param name="Accuracy">Of the test images, 0 to 1.</param>
/// <param name="LogLoss">Of the test images, in nats.</param>
/// <param name="ValidationAccuracy">What the model says of itself, 0 to 1; null without validation rows.</param>
/// <param name="Configuration">The prompt lengths that it ended with.</param>
/// <param name="Searched">The searched ones; null without a search.</param>
/// <param name="Confidence">Median softmax weight of the searched choice over all layers; null without a search.</param>
/// <param name="Seconds">Of the fit.</param>
/// <param name="Warnings">What the log warned of.</param>
internal sealed record EvidenceRun(
    string Task,
    int Seed,
    string Method,
    double Accuracy,
    double LogLoss,
    double? ValidationAccuracy,
    string Configuration,
    string? Searched,
    double? Confidence,
    double Seconds,
    IReadOnlyList<string> Warnings
);

/// <summary>
/// Runs methods on tasks and seeds and appends a line of JSON for each run. Runs that the file holds are passed over, so that it can be
/// interrupted, and two processes can share the work by halves of the tasks.
/// </summary>
/// <param name="results">The file with a line of JSON a run.</param>
/// <param name="photographs">See <see cref="BenchmarkTask.Open"/>.</param>
/// <param name="clip">Likewise.</param>
internal sealed class EvidenceBenchmark(string results, string? photographs, string? clip)
{
    public void Run(IReadOnlyList<string> tasks, IReadOnlyList<int> seeds, IReadOnlyList<string> methods)
    {
        var done = Read([results]).Select(run => (run.Task, run.Seed, run.Method)).ToHashSet();
        foreach (int seed in seeds)
        foreach (string name in tasks)
        {
            string[] missing = [.. methods.Where(method => !done.Contains((name, seed, method)))];
            if (missing.Length == 0)
                continue;
            using BenchmarkTask task = BenchmarkTask.Open(name, seed, photographs, clip);
            foreach (string method in missing)
            {
                EvidenceRun run = Run(task, name, seed, method);
                File.AppendAllText(results, JsonSerializer.Serialize(run) + "\n");
                Console.WriteLine(FormattableString.Invariant($"{name} {seed} {method}: {run.Accuracy:p1}, {run.Seconds:f0} s"));
            }
        }
    }

    /// <summary>The runs of several files; a missing file has none.</summary>
    public static IReadOnlyList<EvidenceRun> Read(IEnumerable<string> files) =>
        [
            .. files
                .Where(File.Exists)
                .SelectMany(File.ReadLines)
                .Where(line => line.Length > 0)
                .Select(line => JsonSerializer.Deserialize<EvidenceRun>(line)!),
        ];

    private static EvidenceRun Run(BenchmarkTask task, string name, int seed, string method)
    {
        List<string> warnings = [];
        void Note(object? sender, LoggingEventArgs e)
        {
            if (e.Kind == ChannelMessageKind.Warning)
                warnings.Add(e.RawMessage);
        }
        task.Context.Log += Note;
        try
        {
            long began = Stopwatch.GetTimestamp();
            using DplTransformer model = new EvidenceMethod(method).Fit(task, seed);
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            (double accuracy, double logLoss) = task.Evaluate(model);
            double[] confidences = model.SearchReport is { } report
                ? [.. report.TextConfidence.Concat(report.ImageConfidence).Order()]
                : [];
            return new EvidenceRun(
                name,
                seed,
                method,
                accuracy,
                logLoss,
                model.ValidationAccuracy,
                model.Configuration.ToString(),
                model.SearchReport?.Configuration.ToString(),
                confidences.Length == 0 ? null : confidences[confidences.Length / 2],
                seconds,
                warnings
            );
        }
        finally
        {
            task.Context.Log -= Note;
        }
    }
}
