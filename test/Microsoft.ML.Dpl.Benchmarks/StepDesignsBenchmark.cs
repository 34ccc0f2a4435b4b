using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The cost of other prompt designs in a training step, as ratios to the step without them, measured in turn.</summary>
/// <param name="size">Shape, classes, images, and the candidates, of which every layer has the longest as its prompt length.</param>
/// <param name="repeats">The number of measured rounds.</param>
/// <param name="workers">Whether workers share a step where the library would use them.</param>
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
