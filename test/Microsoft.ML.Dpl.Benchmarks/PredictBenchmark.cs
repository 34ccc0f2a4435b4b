using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Prompts;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>What prompts cost in prediction: the image tower with prompts folded into keys and values, against the same tower without any.</summary>
internal sealed class PredictBenchmark(string shape, int length, int repeats)
{
    private static readonly int[] Batches = [1, 32];

    public void Run(bool json)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        ClipConfig config = ClipShapes.Of(shape);
        using var clip = new RandomClip(config, seed: 1);
        using Generator generator = Seeds.Generator(2, "benchmark");
        Tensor?[] prompts = [.. Enumerable.Range(0, config.Vision.Layers).Select(_ => randn([length, config.Vision.Width], generator: generator))];
        using var prompted = new FoldedImageTower(clip.Vision, prompts);
        using var plain = new FoldedImageTower(clip.Vision, new Tensor?[config.Vision.Layers]);
        var results = new List<(int Batch, Timing Prompted, Timing Plain)>();
        foreach (int batch in Batches)
        {
            Tensor images = randn([batch, 3, config.ImageSize, config.ImageSize], generator: generator);
            Dictionary<string, Timing> times = Rounds.Measure([new("prompted", () => prompted.Forward(images).Dispose()), new("plain", () => plain.Forward(images).Dispose())], repeats);
            results.Add((batch, times["prompted"], times["plain"]));
        }
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                shape,
                length,
                threads = get_num_threads(),
                results = results.Select(r => new { r.Batch, prompted = r.Prompted, plain = r.Plain, imagesPerSecond = r.Batch / r.Prompted.Median, overhead = r.Prompted.Median / r.Plain.Median - 1 }),
            }));
            return;
        }
        var table = new Table().AddColumn($"{shape}, {length} prompt rows a layer, {get_num_threads()} threads");
        foreach (string column in new[] { "latency", "spread", "images/s", "plain tower", "overhead" }) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var (batch, with, without) in results)
            table.AddRow($"batch {batch}", $"{with.Median * 1e3:f1} ms", $"{with.Spread * 1e3:f1} ms", $"{batch / with.Median:f1}", $"{without.Median * 1e3:f1} ms", $"{with.Median / without.Median - 1:p1}");
        AnsiConsole.Write(table);
    }
}
