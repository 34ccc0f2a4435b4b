using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>What other prompt designs cost a training step, as ratios to the step without them, in turn.</summary>
/// <param name="size">Shape, classes, images, and the prompt length of every layer, the longest candidate.</param>
/// <param name="repeats">Rounds.</param>
/// <param name="workers">Whether workers share a step where the product would have them.</param>
internal sealed class StepDesignsBenchmark(StepSize size, int repeats, bool workers)
{
    public void Run(bool json)
    {
        NativeAllocator.KeepFreedMemory();
        using var designs = new StepDesigns(size, workers);
        Dictionary<string, Timing> times = Rounds.Measure(designs.Works, repeats);
        double plain = times[StepDesigns.Plain].Median;
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        shape = size.Shape,
                        size.Classes,
                        size.Batch,
                        threads = get_num_threads(),
                        seconds = times,
                        ratios = times.ToDictionary(time => time.Key, time => time.Value.Median / plain),
                    }
                )
            );
            return;
        }
        var table = new Table()
            .AddColumn($"{size.Shape}, {size.Classes} classes, batch {size.Batch}, {get_num_threads()} threads")
            .AddColumn(new TableColumn("median").RightAligned())
            .AddColumn(new TableColumn("spread").RightAligned())
            .AddColumn(new TableColumn("ratio").RightAligned());
        foreach (var (name, time) in times)
            table.AddRow(name, $"{time.Median * 1e3:f1} ms", $"{time.Spread * 1e3:f1} ms", $"{time.Median / plain:f2}");
        AnsiConsole.Write(table);
    }
}
