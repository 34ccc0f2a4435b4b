using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The cost of one step of search and training, compared with the authors' algorithm on the same weights and images, measured in
/// alternation; and the memory of both.</summary>
internal sealed class StepsBenchmark(
    StepSize size,
    int repeats,
    int shortRepeats,
    bool withNaive,
    int? naiveChunk,
    bool workers,
    bool tuneAllocator,
    ComputePrecision precision,
    Device device,
    bool withMemory
)
{
    private const int ProductSide = 2048;
    private const string AlphaHalf = "alpha half-step",
        PromptHalf = "prompt half-step",
        TrainingStep = "training step";

    public void Run(bool json)
    {
        if (tuneAllocator)
            NativeAllocator.KeepFreedMemory();
        Dictionary<string, Timing> times;
        string rounded = precision == ComputePrecision.Float32 ? "" : $", {precision}";
        using (var models = new StepModels(size, workers, naiveChunk, device: device))
        using (StepModels? roundedModels = rounded.Length == 0 ? null : new StepModels(size, workers, precision: precision, device: device))
        {
            var works = new List<Work>
            {
                new(AlphaHalf, models.AlphaHalf),
                new(PromptHalf, models.PromptHalf),
                new(TrainingStep, models.Training),
                new("training step, no text prompts", models.TrainingOfImages),
                new("product 2048³", Product()),
            };
            if (roundedModels is not null)
                works.AddRange([
                    new(AlphaHalf + rounded, roundedModels.AlphaHalf),
                    new(PromptHalf + rounded, roundedModels.PromptHalf),
                    new(TrainingStep + rounded, roundedModels.Training),
                ]);
            if (withNaive)
            {
                Action? warmUp = naiveChunk is null ? null : models.NaiveWarmUp;
                works.AddRange([
                    new("naive search half-step", models.NaiveSearchHalf, warmUp, IsLong: true),
                    new("naive training step", models.NaiveTraining, warmUp, IsLong: true),
                ]);
            }
            // Work on a GPU is not finished when the call returns.
            times = Rounds.Measure(works, repeats, shortRepeats, OnCpu ? null : () => cuda.synchronize(device));
        }
        double Of(string name) => times[name].Median;
        StepOperations operations = size.Operations();
        double search = Of(AlphaHalf) + Of(PromptHalf),
            rate = 2 * Math.Pow(ProductSide, 3) / Of("product 2048³");
        var ratios = new Dictionary<string, double>
        {
            ["search_over_train"] = search / 2 / Of(TrainingStep),
            ["train_without_text_prompts_over_train"] = Of("training step, no text prompts") / Of(TrainingStep),
            ["matmul_ceiling_fraction"] = (operations.AlphaHalf + operations.PromptHalf) / search / rate,
            ["train_matmul_ceiling_fraction"] = operations.Training / Of(TrainingStep) / rate,
        };
        if (rounded.Length > 0)
        {
            ratios["search_speedup_of_precision"] = search / (Of(AlphaHalf + rounded) + Of(PromptHalf + rounded));
            ratios["train_speedup_of_precision"] = Of(TrainingStep) / Of(TrainingStep + rounded);
        }
        if (withNaive)
        {
            ratios["search_step_speedup"] = 2 * Of("naive search half-step") / search;
            ratios["train_step_speedup"] = Of("naive training step") / Of(TrainingStep);
        }
        var memory = new Dictionary<string, long>();
        void MeasureMemory(ComputePrecision of, string suffix, params string[] forms)
        {
            foreach (string form in withMemory ? forms : [])
                memory[form + suffix] = PeakMemory.MeasureStep(size, form, workers, tuneAllocator, of, device);
        }
        MeasureMemory(ComputePrecision.Float32, "", "search", "training");
        if (rounded.Length > 0)
            MeasureMemory(precision, rounded, "search", "training");
        // In chunks the naive form holds less memory than the authors' code; on a GPU this process still holds memory of its own.
        if (withNaive && naiveChunk is null && OnCpu)
            MeasureMemory(ComputePrecision.Float32, "", "naive-search", "naive-training");
        if (memory.TryGetValue("naive-search", out long naiveSearch))
            ratios["search_peak_memory_ratio"] = (double)memory["search"] / naiveSearch;
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        shape = size.Shape,
                        size.Classes,
                        size.Batch,
                        size.Candidates,
                        device = device.ToString(),
                        threads = get_num_threads(),
                        workers,
                        naiveChunk,
                        tuneAllocator,
                        precision = precision.ToString(),
                        seconds = times,
                        gigaOperations = new
                        {
                            alphaHalf = operations.AlphaHalf / 1e9,
                            promptHalf = operations.PromptHalf / 1e9,
                            training = operations.Training / 1e9,
                            productRate = rate / 1e9,
                        },
                        peakMebibytes = memory.ToDictionary(m => m.Key, m => m.Value >> 20),
                        ratios,
                    }
                )
            );
            return;
        }
        var table = new Table()
            .AddColumn(
                $"{size.Shape}, {size.Classes} classes, batch {size.Batch}, {(OnCpu ? $"{get_num_threads()} threads" : device.ToString())}"
            )
            .AddColumn(new TableColumn("median").RightAligned())
            .AddColumn(new TableColumn("spread").RightAligned());
        foreach (var (name, time) in times)
            table.AddRow(name, $"{time.Median * 1e3:f1} ms", $"{time.Spread * 1e3:f1} ms");
        foreach (var (form, bytes) in memory)
            table.AddRow($"peak memory, {form}", $"{bytes >> 20} MiB", "");
        foreach (var (name, value) in ratios)
            table.AddRow(name, $"{value:f2}", "");
        AnsiConsole.Write(table);
    }

    private bool OnCpu => device.type == DeviceType.CPU;

    private Action Product()
    {
        Tensor a = randn(ProductSide, ProductSide, device: device).DetachFromDisposeScope(),
            b = randn(ProductSide, ProductSide, device: device).DetachFromDisposeScope();
        return () => a.matmul(b).Dispose();
    }
}
