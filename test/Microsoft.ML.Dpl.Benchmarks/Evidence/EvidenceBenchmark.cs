using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Tool.Studies.Methods;

namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>One run of one method on one draw of one task.</summary>
/// <param name="Task">The task.</param>
/// <param name="Seed">The draw, and the seed of the fit.</param>
/// <param name="Method">The method, as given on the command line.</param>
/// <param name="Accuracy">Accuracy on the test images, 0 to 1.</param>
/// <param name="LogLoss">Log-loss on the test images, in nats.</param>
/// <param name="ValidationAccuracy">The validation accuracy recorded in the model, 0 to 1; null without validation rows.</param>
/// <param name="Configuration">The prompt lengths of the final model.</param>
/// <param name="Searched">The prompt lengths found by the search; null without a search.</param>
/// <param name="Confidence">Median over all layers of the softmax weight of the searched choice; null without a search.</param>
/// <param name="Seconds">Duration of the fit, in seconds.</param>
/// <param name="Warnings">The warnings in the log.</param>
/// <param name="Base">Base-to-new: accuracy on the trained classes among themselves, 0 to 1; else null.</param>
/// <param name="New">Base-to-new: accuracy on the other classes among themselves, 0 to 1; else null. <paramref name="Accuracy"/> is then
/// the harmonic mean of both.</param>
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
    IReadOnlyList<string> Warnings,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Base = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? New = null
);

/// <summary>Runs methods on tasks and seeds and appends a line of JSON for each run. Runs already in the files are skipped, so a benchmark
/// can be interrupted and resumed, and two processes can each take half of the tasks.</summary>
/// <param name="results">The files with one line of JSON per run; the first one is appended to.</param>
/// <param name="photographs">See <see cref="BenchmarkTask.Open"/>.</param>
/// <param name="clip">See <see cref="BenchmarkTask.Open"/>.</param>
internal sealed class EvidenceBenchmark(IReadOnlyList<string> results, string? photographs, string? clip)
{
    private const string BaseToNew = " base-to-new";

    /// <param name="tasks">Drawn tasks and folders of photographs.</param>
    /// <param name="seeds">Seeds of the draws and of the fits.</param>
    /// <param name="methods">Prompt methods, in the syntax that <see cref="StudyMethods"/> parses.</param>
    /// <param name="baseToNew">Whether to train on the first half of the classes and to test both halves, each among its own classes (Zhou
    /// et al., CVPR 2022, arXiv 2203.05557).</param>
    public void Run(IReadOnlyList<string> tasks, IReadOnlyList<int> seeds, IReadOnlyList<string> methods, bool baseToNew)
    {
        var done = Read(results).Select(run => (run.Task, run.Seed, run.Method)).ToHashSet();
        foreach (int seed in seeds)
        foreach (string taskName in tasks)
        {
            string name = baseToNew ? taskName + BaseToNew : taskName;
            string[] missing = [.. methods.Where(method => !done.Contains((name, seed, method)))];
            if (missing.Length == 0)
                continue;
            using BenchmarkTask task = BenchmarkTask.Open(taskName, seed, photographs, clip);
            foreach (string method in missing)
            {
                EvidenceRun run = baseToNew ? RunOfHalves(task, name, seed, method) : RunOfAll(task, name, seed, method);
                File.AppendAllText(results[0], JsonSerializer.Serialize(run) + "\n");
                Console.WriteLine(FormattableString.Invariant($"{name} {seed} {method}: {run.Accuracy:p1}, {run.Seconds:f0} s"));
            }
        }
    }

    /// <summary>The runs of several files, each run once; a missing file counts as empty.</summary>
    public static IReadOnlyList<EvidenceRun> Read(IEnumerable<string> files) =>
        [
            .. files
                .Where(File.Exists)
                .SelectMany(File.ReadLines)
                .Where(line => line.Length > 0)
                .Select(line => JsonSerializer.Deserialize<EvidenceRun>(line)!)
                .DistinctBy(run => (run.Task, run.Seed, run.Method)),
        ];

    private static EvidenceRun RunOfAll(BenchmarkTask task, string name, int seed, string method)
    {
        (EvidenceRun run, PromptClassifier model) = Run(task, name, seed, method);
        model.Dispose();
        return run;
    }

    private static EvidenceRun RunOfHalves(BenchmarkTask task, string name, int seed, string method)
    {
        string[] classes = task.ClassNames();
        int half = (classes.Length + 1) / 2;
        (BenchmarkTask trained, BenchmarkTask others) = (task.Of(classes[..half]), task.Of(classes[half..]));
        (EvidenceRun run, PromptClassifier model) = Run(trained, name, seed, method);
        using (model)
        using (IStudyClassifier renamed = model.WithClasses(classes[half..]))
        {
            double ofNew = others.Evaluate(renamed).Accuracy;
            return run with
            {
                Accuracy = ofNew + run.Accuracy > 0 ? 2 * ofNew * run.Accuracy / (ofNew + run.Accuracy) : 0,
                Base = run.Accuracy,
                New = ofNew,
            };
        }
    }

    /// <returns>The run and its model, which the caller disposes.</returns>
    private static (EvidenceRun Run, PromptClassifier Model) Run(BenchmarkTask task, string name, int seed, string method)
    {
        List<string> warnings = [];
        if (StudyMethods.Parse(method) is not PromptMethod prompts)
            throw new FormatException($"'{method}' makes no prompts, of which this benchmark is: dpl study runs it.");
        long began = Stopwatch.GetTimestamp();
        var classifier = (PromptClassifier)prompts.Fit(task.ForMethod(seed, warnings.Add));
        DplTransformer model = classifier.Model;
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        (double accuracy, double logLoss) = task.Evaluate(classifier);
        double[] confidences = model.SearchReport is { } report ? [.. report.TextConfidence.Concat(report.ImageConfidence).Order()] : [];
        var run = new EvidenceRun(
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
        return (run, classifier);
    }
}
