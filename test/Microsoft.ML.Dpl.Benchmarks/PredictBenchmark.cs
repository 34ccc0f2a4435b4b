using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Network;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The cost of prediction from images to logits: with prompts folded into keys and values, compared with the same tower without
/// prompts, and with the same classifier, prompts included, exported to ONNX and run by ONNX Runtime.</summary>
internal sealed class PredictBenchmark(string shape, int length, int repeats, IReadOnlyList<int> batches)
{
    private const int Classes = 100;
    private const double LogitScale = 100;

    public void Run(bool json)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        ClipConfig config = ClipShapes.Of(shape);
        using var clip = new RandomClip(config, seed: 1);
        using Generator generator = Seeds.Generator(2, "benchmark");
        Tensor?[] prompts =
        [
            .. Enumerable.Range(0, config.Image.Layers).Select(_ => randn([length, config.Image.Width], generator: generator)),
        ];
        Tensor classes = PromptedClip.UnitRows(randn([Classes, config.EmbeddingWidth], generator: generator));
        using PackedTower? packed = PackedTower.IsWorthwhileFor(clip.Image) ? PackedTower.From(clip.Image) : null;
        Func<PackedTower?>? matrices = packed is null ? null : () => packed;
        using var promptedTower = new FoldedImageTower(clip.Image, prompts) { Packed = matrices };
        using var plainTower = new FoldedImageTower(clip.Image, new Tensor?[config.Image.Layers]) { Packed = matrices };
        FoldedClassifier prompted = new(promptedTower, classes, LogitScale),
            plain = new(plainTower, classes, LogitScale);
        using OnnxSession onnx = new(prompted),
            int8 = new(prompted, OnnxPrecision.Int8);
        var results = new List<(int Batch, Timing Prompted, Timing Plain, Timing Onnx, Timing Int8)>();
        foreach (int batch in batches)
        {
            Tensor images = randn([batch, 3, config.ImageSize, config.ImageSize], generator: generator);
            float[] pixels = images.data<float>().ToArray();
            RequireSame(prompted.Logits(images), onnx.Logits(pixels, images.shape), 1e-3);
            RequireSame(prompted.Logits(images), int8.Logits(pixels, images.shape), 0.05);
            Dictionary<string, Timing> times = Rounds.Measure(
                [
                    new("prompted", () => prompted.Logits(images).Dispose()),
                    new("plain", () => plain.Logits(images).Dispose()),
                    new("onnx", () => onnx.Logits(pixels, images.shape)),
                    new("int8", () => int8.Logits(pixels, images.shape)),
                ],
                repeats
            );
            results.Add((batch, times["prompted"], times["plain"], times["onnx"], times["int8"]));
        }
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        shape,
                        length,
                        threads = get_num_threads(),
                        onnxRuntime = OnnxSession.Version,
                        results = results.Select(r => new
                        {
                            r.Batch,
                            prompted = r.Prompted,
                            plain = r.Plain,
                            onnx = r.Onnx,
                            onnxInt8 = r.Int8,
                            imagesPerSecond = r.Batch / r.Prompted.Median,
                            overhead = r.Prompted.Median / r.Plain.Median - 1,
                            oursByOnnx = r.Prompted.Median / r.Onnx.Median,
                            onnxByInt8 = r.Onnx.Median / r.Int8.Median,
                        }),
                    }
                )
            );
            return;
        }
        var table = new Table().AddColumn($"{shape}, {length} prompt rows a layer, {get_num_threads()} threads");
        foreach (string column in new[] { "latency", "spread", "images/s", "prompted ÷ this" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var (batch, with, without, exported, bytes) in results)
        {
            foreach (
                var (name, time) in new[]
                {
                    ("prompted", with),
                    ("plain tower", without),
                    ($"ONNX Runtime {OnnxSession.Version}, prompted", exported),
                    ("the same in int8", bytes),
                }
            )
                table.AddRow(
                    $"batch {batch}, {name}",
                    $"{time.Median * 1e3:f1} ms",
                    $"{time.Spread * 1e3:f1} ms",
                    $"{batch / time.Median:f1}",
                    $"{with.Median / time.Median:f3}"
                );
        }
        AnsiConsole.Write(table);
    }

    /// <summary>Comparing the times of two models that compute different things would be meaningless.</summary>
    private static void RequireSame(Tensor ours, float[] theirs, double tolerance)
    {
        float[] expected = ours.data<float>().ToArray();
        double scale = expected.Max(Math.Abs),
            difference = expected.Zip(theirs, (a, b) => Math.Abs(a - b)).Max();
        if (expected.Length != theirs.Length || !(difference <= tolerance * scale))
            throw new InvalidOperationException($"ONNX Runtime's logits differ from ours by {difference}, at a largest one of {scale}.");
    }
}
