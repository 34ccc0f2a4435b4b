using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Prompts;
using Microsoft.ML.Dpl.Training;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>What one step of search and training costs: ours against the method as written down, on the same weights and batch, alternating.</summary>
internal sealed class StepsBenchmark(string shape, int classes, int batch, int[] candidates, int repeats, bool withNaive)
{
    public void Run(bool json)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        ClipConfig config = ClipShapes.Of(shape);
        using var clip = new RandomClip(config, seed: 1);
        using Generator generator = Seeds.Generator(2, "benchmark");
        int[][] texts = Texts(config, classes);
        using var images = new ImageBatch(randn([batch, 3, config.ImageSize, config.ImageSize], generator: generator), tensor(Enumerable.Range(0, batch).Select(i => (long)(i % classes)).ToArray()));
        using var supernet = new Supernet(
            SupernetBranch.Create(candidates, config.Vision.Layers, config.Vision.Width, PromptDistribution.Normal(1), generator, CPU),
            SupernetBranch.Create(candidates, config.Text.Layers, config.Text.Width, PromptDistribution.Uniform, generator, CPU));
        int length = candidates[^1];
        using var image = FixedBranch.Create([.. Enumerable.Repeat(length, config.Vision.Layers)], config.Vision.Width, PromptDistribution.Normal(1), generator, CPU);
        using var text = FixedBranch.Create([.. Enumerable.Repeat(length, config.Text.Layers)], config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        using var tower = new ImageTower(clip.Vision);
        using var classTexts = new ClassTexts(texts, clip.Text);
        var model = new PromptedClip(tower, new TextTower(clip.Text), classTexts);
        var settings = new SearchSettings { Candidates = candidates };
        using var alphaStep = new AlphaStep(model, supernet, settings);
        using var promptStep = new PromptStep(model, supernet, settings);
        image.RequireGradients(true);
        text.RequireGradients(true);
        using optim.Optimizer sgd = optim.SGD([.. image.Parameters, .. text.Parameters], 1e-3, momentum: 0.9, weight_decay: 5e-4);

        var works = new List<(string Name, Action Work)>
        {
            ("alpha half-step", () => alphaStep.Run(images, 0, 0)),
            ("prompt half-step", () => promptStep.Run(images, 0, 0)),
            ("training step", () => OptimizerStep.Take(sgd, b => Losses.CrossEntropy(model.Logits(images.Images, image, text, b), images.Labels), RunStage.Training, 0, 0)),
            ("product 2048³", Product()),
        };
        using NaiveClip? naive = withNaive ? new NaiveClip(clip, config) : null;
        if (naive is not null)
        {
            works.Add(("naive search half-step", () =>
            {
                using var step = NewDisposeScope();
                supernet.RequireGradients(true, true);
                Losses.CrossEntropy(naive.Logits(images.Images, texts, NaiveLayer.From(supernet.Image), NaiveLayer.From(supernet.Text)), images.Labels).backward();
            }
            ));
            works.Add(("naive training step", () =>
            {
                using var step = NewDisposeScope();
                Losses.CrossEntropy(naive.Logits(images.Images, texts, NaiveLayer.From(image), NaiveLayer.From(text)), images.Labels).backward();
            }
            ));
        }
        Report(Measure(works), json);
    }

    private Dictionary<string, (double Median, double Spread)> Measure(List<(string Name, Action Work)> works)
    {
        var times = works.ToDictionary(w => w.Name, _ => new List<double>());
        for (int round = 0; round <= repeats; round++)
        {
            foreach (var (name, work) in works)
            {
                long began = Stopwatch.GetTimestamp();
                work();
                if (round > 0) times[name].Add(Stopwatch.GetElapsedTime(began).TotalSeconds); // round 0 warms up
            }
        }
        return times.ToDictionary(t => t.Key, t =>
        {
            t.Value.Sort();
            return (t.Value[t.Value.Count / 2], t.Value[^1] - t.Value[0]);
        });
    }

    private void Report(Dictionary<string, (double Median, double Spread)> times, bool json)
    {
        double Of(string name) => times.TryGetValue(name, out var time) ? time.Median : double.NaN;
        double search = Of("alpha half-step") + Of("prompt half-step"), training = Of("training step");
        var ratios = new Dictionary<string, double> { ["search_half_over_train"] = search / 2 / training };
        if (withNaive)
        {
            ratios["search_step_speedup"] = 2 * Of("naive search half-step") / search;
            ratios["train_step_speedup"] = Of("naive training step") / training;
        }
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { shape, classes, batch, candidates, threads = get_num_threads(), seconds = times.ToDictionary(t => t.Key, t => t.Value.Median), ratios }));
            return;
        }
        var table = new Table().AddColumn($"{shape}, {classes} classes, batch {batch}, {get_num_threads()} threads").AddColumn("median").AddColumn("spread");
        foreach (var (name, (median, spread)) in times) table.AddRow(name, $"{median * 1e3:f1} ms", $"{spread * 1e3:f1} ms");
        foreach (var (name, value) in ratios) table.AddRow(name, $"{value:f2}", "");
        AnsiConsole.Write(table);
    }

    private static Action Product()
    {
        Tensor a = randn(2048, 2048), b = randn(2048, 2048);
        return () => a.matmul(b).Dispose();
    }

    /// <summary>"a photo of a …." as real class names have it: five shared tokens, one to four of a name, a full stop and the end.</summary>
    private static int[][] Texts(ClipConfig config, int classes)
    {
        Random random = Seeds.Random(3, "benchmark texts");
        int start = config.VocabularySize - 2, end = config.VocabularySize - 1;
        return [.. Enumerable.Range(0, classes).Select(_ => (int[])[start, 1, 2, 3, 1, .. Enumerable.Range(0, 1 + random.Next(3)).Select(_ => random.Next(start)), 4, end])];
    }
}
