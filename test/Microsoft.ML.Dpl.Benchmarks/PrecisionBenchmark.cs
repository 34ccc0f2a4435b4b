using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Compares a model in one precision with the same model in float32, on the same test images.</summary>
/// <param name="Task">The task.</param>
/// <param name="Seed">The draw, and the seed of the fit.</param>
/// <param name="Precision">The precision of the weights.</param>
/// <param name="Images">The number of test images.</param>
/// <param name="Right">Images that float32 classifies correctly.</param>
/// <param name="OnlyThis">Images that only this precision classifies correctly.</param>
/// <param name="OnlyFloat32">Images that only float32 classifies correctly.</param>
/// <param name="Changed">Images with another predicted class, correct or not.</param>
/// <param name="Bytes">The size of the graph as a share of the float32 graph's.</param>
/// <param name="Length">Prompt rows of every layer; lines without it were made with the default.</param>
/// <param name="Steps">Steps of training; lines without it were made with the default.</param>
internal sealed record PrecisionRun(
    string Task,
    int Seed,
    string Precision,
    int Images,
    int Right,
    int OnlyThis,
    int OnlyFloat32,
    int Changed,
    double Bytes,
    int Length = PrecisionBenchmark.DefaultLength,
    int Steps = PrecisionBenchmark.DefaultSteps
);

/// <summary>The accuracy lost by graphs of reduced precision: models trained for a few steps, each exported as float32, float16 and int8
/// and scored by ONNX Runtime on the same test images.</summary>
/// <param name="results">The file with a line of JSON for each model and precision; models already in it are not run again.</param>
/// <param name="photographs">See <see cref="BenchmarkTask.Open"/>.</param>
/// <param name="clip">See <see cref="BenchmarkTask.Open"/>.</param>
/// <param name="length">The prompt length of every layer.</param>
/// <param name="steps">The number of training steps.</param>
internal sealed class PrecisionBenchmark(string results, string? photographs, string? clip, int length, int steps)
{
    public const int DefaultLength = 4,
        DefaultSteps = 200;

    private const int Batch = 32;

    private static readonly OnnxPrecision[] Precisions = [OnnxPrecision.Float16, OnnxPrecision.Int8];

    /// <param name="tasks">Drawn tasks and folders of photographs.</param>
    /// <param name="seeds">Seeds of the draws and of the fits.</param>
    public void Run(IReadOnlyList<string> tasks, IReadOnlyList<int> seeds)
    {
        var done = Read().Select(run => (run.Task, run.Seed)).ToHashSet();
        foreach (int seed in seeds)
        foreach (string name in tasks.Where(name => !done.Contains((name, seed))))
        {
            PrecisionRun[] runs = Measure(name, seed);
            // Both lines in one write, so that a model is recorded with all its precisions or not at all.
            File.AppendAllText(results, string.Concat(runs.Select(run => JsonSerializer.Serialize(run) + "\n")));
            foreach (PrecisionRun run in runs)
                Console.WriteLine(
                    FormattableString.Invariant(
                        $"{name} {seed}: float32 {run.Right} of {run.Images}, {run.Precision} {run.OnlyThis - run.OnlyFloat32:+0;-0;0}"
                    )
                );
        }
    }

    /// <summary>Prints the file's results for this length and number of steps, with all models of a task pooled: an image counts once for
    /// each model.</summary>
    public void Print()
    {
        var table = new Table().AddColumn($"ONNX Runtime {OnnxSession.Version}");
        foreach (string column in new[] { "models", "images", "float32", "difference", "95 % interval", "other answers", "graph" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var group in Read().GroupBy(run => (run.Task, run.Precision)))
        {
            int images = group.Sum(run => run.Images);
            PairedDifference difference = PairedDifference.From(group.Sum(run => run.OnlyThis), group.Sum(run => run.OnlyFloat32), images);
            table.AddRow(
                $"{group.Key.Task}, {group.Key.Precision}",
                $"{group.Count()}",
                $"{images}",
                FormattableString.Invariant($"{100.0 * group.Sum(run => run.Right) / images:f1} %"),
                FormattableString.Invariant($"{100 * difference.Difference:+0.00;-0.00;0.00}"),
                FormattableString.Invariant($"{100 * difference.Lower:+0.00;-0.00;0.00} to {100 * difference.Upper:+0.00;-0.00;0.00}"),
                $"{group.Sum(run => run.Changed)}",
                FormattableString.Invariant($"{group.First().Bytes:f2}")
            );
        }
        AnsiConsole.Write(table);
    }

    /// <summary>The models of this length and number of steps.</summary>
    private PrecisionRun[] Read() =>
        File.Exists(results)
            ?
            [
                .. File.ReadLines(results)
                    .Where(line => line.Length > 0)
                    .Select(line => JsonSerializer.Deserialize<PrecisionRun>(line)!)
                    .Where(run => run.Length == length && run.Steps == steps),
            ]
            : [];

    private PrecisionRun[] Measure(string name, int seed)
    {
        using BenchmarkTask task = BenchmarkTask.Open(name, seed, photographs, clip);
        DplTrainer.Options options = task.Options(seed);
        (options.Configuration, options.Training.Steps) = (PromptConfiguration.Uniform(task.Backbone, length), steps);
        using DplTransformer trained = task.Context.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(task.Train);
        string[] paths = [.. task.Test.GetColumn<string>(options.ImageColumnName)],
            labels = [.. task.Test.GetColumn<string>("Label")],
            whole = Answers(OnnxPrecision.Float32);
        double bytes = Bytes(OnnxPrecision.Float32);
        return
        [
            .. Precisions.Select(precision =>
            {
                (string Label, string Whole, string Rounded)[] images =
                [
                    .. labels.Zip(whole, Answers(precision)).Select(image => (image.First, image.Second, image.Third)),
                ];
                return new PrecisionRun(
                    name,
                    seed,
                    precision.ToString().ToLowerInvariant(),
                    images.Length,
                    images.Count(image => image.Whole == image.Label),
                    images.Count(image => image.Rounded == image.Label && image.Whole != image.Label),
                    images.Count(image => image.Whole == image.Label && image.Rounded != image.Label),
                    images.Count(image => image.Whole != image.Rounded),
                    Bytes(precision) / bytes,
                    length,
                    steps
                );
            }),
        ];

        string[] Answers(OnnxPrecision precision)
        {
            using OnnxSession session = trained.Use(classifier => new OnnxSession(classifier, precision));
            int size = trained.Backbone.Config.ImageSize;
            return
            [
                .. paths
                    .Chunk(Batch)
                    .SelectMany(batch =>
                        session
                            .Logits([.. batch.SelectMany(trained.Pixels)], [batch.Length, 3, size, size])
                            .Chunk(trained.ClassNames.Count)
                            .Select(logits => trained.ClassNames[Array.IndexOf(logits, logits.Max())])
                    ),
            ];
        }

        double Bytes(OnnxPrecision precision)
        {
            using var written = new MemoryStream();
            trained.SaveAsOnnx(written, precision: precision);
            return written.Length;
        }
    }
}
