using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>What graphs of fewer bits cost in accuracy: models that were trained a little, each written as float32, float16 and int8 and
/// scored by ONNX Runtime on the same test images.</summary>
/// <param name="photographs">See <see cref="BenchmarkTask.Open"/>.</param>
/// <param name="clip">Likewise.</param>
/// <param name="length">Prompt rows of every layer.</param>
/// <param name="steps">Of training.</param>
internal sealed class PrecisionBenchmark(string? photographs, string? clip, int length, int steps)
{
    private const int Batch = 32;

    private static readonly DplOnnxPrecision[] Precisions = [DplOnnxPrecision.Float32, DplOnnxPrecision.Float16, DplOnnxPrecision.Int8];

    /// <summary>One model's answers to all test images.</summary>
    /// <param name="Task">The task.</param>
    /// <param name="Seed">The draw, and the seed of the fit.</param>
    /// <param name="Right">By precision: whether each test image was classified rightly.</param>
    /// <param name="Changed">By precision: images that float32 answers otherwise.</param>
    /// <param name="Bytes">By precision: the graph's.</param>
    private sealed record Model(string Task, int Seed, bool[][] Right, int[] Changed, long[] Bytes);

    /// <param name="tasks">Drawn tasks and folders of photographs.</param>
    /// <param name="seeds">Draws, and seeds of the fits.</param>
    /// <param name="json">One line of JSON instead of a table.</param>
    public void Run(IReadOnlyList<string> tasks, IReadOnlyList<int> seeds, bool json)
    {
        var models = new List<Model>();
        foreach (int seed in seeds)
        foreach (string name in tasks)
        {
            models.Add(Measure(name, seed));
            Console.Error.WriteLine(
                FormattableString.Invariant($"{name} {seed}: {string.Join(", ", models[^1].Right.Select(right => $"{Share(right):p1}"))}")
            );
        }
        var results = tasks
            .SelectMany(task => Precisions.Skip(1).Select((precision, i) => Compare(models.Where(m => m.Task == task), precision, i + 1)))
            .ToArray();
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        length,
                        steps,
                        onnxRuntime = OnnxSession.Version,
                        results,
                    }
                )
            );
            return;
        }
        var table = new Table().AddColumn($"length {length}, {steps} steps, ONNX Runtime {OnnxSession.Version}");
        foreach (string column in new[] { "images", "float32", "difference", "95 % interval", "other answers", "graph" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (Result result in results)
            table.AddRow(
                $"{result.Task}, {result.Models} models, {result.Precision}",
                $"{result.Images}",
                $"{result.Accuracy:p1}",
                FormattableString.Invariant($"{100 * result.Difference.Difference:+0.00;-0.00;0.00}"),
                FormattableString.Invariant($"{100 * result.Difference.Lower:+0.00;-0.00} to {100 * result.Difference.Upper:+0.00;-0.00}"),
                $"{result.Changed}",
                $"{result.Share:p0}"
            );
        AnsiConsole.Write(table);
    }

    /// <param name="Task">The task.</param>
    /// <param name="Precision">That of the weights.</param>
    /// <param name="Models">Trained ones.</param>
    /// <param name="Images">Test images of all models together.</param>
    /// <param name="Accuracy">Of the graphs of float32, 0 to 1.</param>
    /// <param name="Difference">To them; the same image counts once for each model.</param>
    /// <param name="Changed">Images that are answered otherwise.</param>
    /// <param name="Share">Of the bytes of a graph of float32.</param>
    private sealed record Result(
        string Task,
        string Precision,
        int Models,
        int Images,
        double Accuracy,
        PairedDifference Difference,
        int Changed,
        double Share
    );

    private static Result Compare(IEnumerable<Model> trained, DplOnnxPrecision precision, int place)
    {
        Model[] models = [.. trained];
        bool[] whole = [.. models.SelectMany(model => model.Right[0])],
            rounded = [.. models.SelectMany(model => model.Right[place])];
        return new Result(
            models[0].Task,
            precision.ToString().ToLowerInvariant(),
            models.Length,
            whole.Length,
            Share(whole),
            PairedDifference.From(
                rounded.Zip(whole).Count(pair => pair.First && !pair.Second),
                whole.Zip(rounded).Count(pair => pair.First && !pair.Second),
                whole.Length
            ),
            models.Sum(model => model.Changed[place]),
            (double)models[0].Bytes[place] / models[0].Bytes[0]
        );
    }

    private Model Measure(string name, int seed)
    {
        using BenchmarkTask task = BenchmarkTask.Open(name, seed, photographs, clip);
        DplTrainer.Options options = task.Options(seed);
        (options.Configuration, options.Training.Steps) = (PromptConfiguration.Uniform(task.Backbone, length), steps);
        using DplTransformer trained = task.Context.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(task.Train);
        string[] paths = [.. task.Test.GetColumn<string>(options.ImageColumnName)],
            labels = [.. task.Test.GetColumn<string>("Label")];
        string[][] answers =
        [
            .. Precisions.Select(precision =>
            {
                using OnnxSession session = trained.Use(classifier => new OnnxSession(classifier, precision));
                return Answers(session, trained, paths);
            }),
        ];
        return new Model(
            name,
            seed,
            [.. answers.Select(each => each.Zip(labels, (answer, label) => answer == label).ToArray())],
            [.. answers.Select(each => each.Zip(answers[0]).Count(pair => pair.First != pair.Second))],
            [.. Precisions.Select(precision => Bytes(trained, precision))]
        );
    }

    private static string[] Answers(OnnxSession session, DplTransformer model, string[] paths)
    {
        int size = model.Backbone.Config.ImageSize;
        return
        [
            .. paths
                .Chunk(Batch)
                .SelectMany(batch =>
                    session
                        .Logits([.. batch.SelectMany(model.Pixels)], [batch.Length, 3, size, size])
                        .Chunk(model.ClassNames.Count)
                        .Select(logits => model.ClassNames[Array.IndexOf(logits, logits.Max())])
                ),
        ];
    }

    private static long Bytes(DplTransformer model, DplOnnxPrecision precision)
    {
        using var written = new MemoryStream();
        model.SaveAsOnnx(written, precision: precision);
        return written.Length;
    }

    private static double Share(IEnumerable<bool> right) => right.Average(each => each ? 1.0 : 0);
}
