using System.Text.Json;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>How the time of a search step and of a training step grows with classes, batch, prompt length and threads, varied one at a time
/// from a common point.</summary>
internal sealed class ScalingBenchmark(string shape, int repeats)
{
    private static readonly int[] Candidates = [0, 2, 4, 6];

    private sealed record Point(string Axis, int Value, double SearchStep, double TrainingStep, double GigaOperations);

    public void Run(bool json, string? image = null)
    {
        Runtime.LibTorch.EnsureLoaded();
        Runtime.NativeAllocator.KeepFreedMemory();
        var origin = new StepSize(shape, 100, 4, Candidates);
        int all = get_num_threads();
        var points = new List<Point>();
        void Add(string axis, int value, StepSize size)
        {
            using var models = new StepModels(size);
            Dictionary<string, Timing> times = Rounds.Measure(
                [new("alpha", models.AlphaHalf), new("prompt", models.PromptHalf), new("training", models.Training)],
                repeats
            );
            StepOperations operations = size.Operations();
            points.Add(
                new Point(
                    axis,
                    value,
                    times["alpha"].Median + times["prompt"].Median,
                    times["training"].Median,
                    (operations.AlphaHalf + operations.PromptHalf) / 1e9
                )
            );
            if (!json)
                AnsiConsole.MarkupLineInterpolated(
                    $"{axis} {value}: search step {points[^1].SearchStep * 1e3:f1} ms, training step {points[^1].TrainingStep * 1e3:f1} ms"
                );
        }
        foreach (int classes in new[] { 1, 10, 30, 100, 300, 1000 })
            Add("classes", classes, new StepSize(shape, classes, origin.Batch, origin.Candidates));
        foreach (int batch in new[] { 1, 2, 4, 8, 16, 32 })
            Add("batch", batch, new StepSize(shape, origin.Classes, batch, origin.Candidates));
        foreach (int longest in new[] { 2, 4, 8, 16, 32 })
            Add("prompt length", longest, new StepSize(shape, origin.Classes, origin.Batch, [0, longest]));
        foreach (int threads in new[] { 1, 2 }.Where(n => n <= all))
        {
            set_num_threads(threads);
            Add("threads", threads, origin);
        }
        set_num_threads(all);
        if (image is not null)
            File.WriteAllText(image, ScalingChart.Svg(shape, points.Select(p => (p.Axis, p.Value, p.SearchStep))));
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        shape,
                        threads = all,
                        points,
                    }
                )
            );
            return;
        }
        var table = new Table()
            .AddColumn(shape)
            .AddColumn(new TableColumn("value").RightAligned())
            .AddColumn(new TableColumn("search step").RightAligned())
            .AddColumn(new TableColumn("training step").RightAligned())
            .AddColumn(new TableColumn("against the first").RightAligned())
            .AddColumn(new TableColumn("its operations").RightAligned());
        foreach (var axis in points.GroupBy(p => p.Axis))
        {
            Point first = axis.First();
            foreach (Point p in axis)
                table.AddRow(
                    p.Axis,
                    $"{p.Value}",
                    $"{p.SearchStep * 1e3:f1} ms",
                    $"{p.TrainingStep * 1e3:f1} ms",
                    $"{p.SearchStep / first.SearchStep:f2}",
                    $"{p.GigaOperations / first.GigaOperations:f2}"
                );
        }
        AnsiConsole.Write(table);
    }
}
