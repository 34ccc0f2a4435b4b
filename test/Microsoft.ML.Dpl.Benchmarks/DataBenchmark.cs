using System.Text.Json;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using SkiaSharp;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Images per second of decoding, caching and augmenting, compared with what a training step consumes.</summary>
internal sealed class DataBenchmark(StepSize size, int imageWidth, int imageHeight, int repeats)
{
    private const int Images = 64;

    public void Run(bool json)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        byte[][] files = [.. Enumerable.Range(0, Images).Select(Jpeg)];
        RgbImage[] decoded = [.. files.Select(f => ImageDecoder.FromBytes(f, "benchmark"))];
        int side = size.Config.ImageSize;
        ClipImageProcessor processor = ClipImageProcessor.Default(side);
        using ImageCache cache = ImageCache.Build(decoded, side, long.MaxValue);
        int[] rows = [.. Enumerable.Range(0, Images)];
        TrainingBatches Batches(TrainingAugmentation? augmentation) => new(cache, rows, rows, size.Batch, 1, processor, augmentation, CPU);
        TrainingBatches augmented = Batches(new TrainingAugmentation(side)),
            plain = Batches(null);
        int epoch = 0;
        using var models = new StepModels(size);
        void Decode()
        {
            foreach (byte[] file in files)
                ImageDecoder.FromBytes(file, "benchmark");
        }
        void Prepare()
        {
            foreach (RgbImage image in decoded)
                processor.Prepare(image);
        }
        void Search()
        {
            models.AlphaHalf();
            models.PromptHalf();
        }
        Work[] works =
        [
            new("decode", Decode),
            new("cache", () => ImageCache.Build(decoded, side, long.MaxValue).Dispose()),
            new("prepare for prediction", Prepare),
            new("augmented batch", () => augmented.Read(epoch++, 0).Dispose()),
            new("batch, not augmented", () => plain.Read(epoch++, 0).Dispose()),
            new("training step", models.Training),
            new("search step", Search),
        ];
        Dictionary<string, Timing> times = Rounds.Measure(works, repeats);
        int ImagesOf(string name) =>
            name switch
            {
                "decode" or "cache" or "prepare for prediction" => Images,
                "search step" => 2 * size.Batch,
                _ => size.Batch,
            };
        Dictionary<string, double> perSecond = times.ToDictionary(t => t.Key, t => ImagesOf(t.Key) / t.Value.Median);
        double share = times["augmented batch"].Median / times["training step"].Median;
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        size.Shape,
                        size.Batch,
                        image = $"{imageWidth}x{imageHeight}",
                        threads = get_num_threads(),
                        imagesPerSecond = perSecond,
                        augmentedBatchOverTrainingStep = share,
                    }
                )
            );
            return;
        }
        var table = new Table()
            .AddColumn($"{size.Shape}, batch {size.Batch}, JPEG {imageWidth} × {imageHeight}")
            .AddColumn(new TableColumn("images/s").RightAligned());
        foreach (var (name, speed) in perSecond)
            table.AddRow(name, $"{speed:f0}");
        table.AddRow("augmented batch / training step", $"{share:p1}");
        AnsiConsole.Write(table);
    }

    /// <summary>A file with edges, gradients and noise, so that it takes as long to decode as a photograph.</summary>
    private byte[] Jpeg(int seed)
    {
        Random random = Seeds.Random(seed, "benchmark images");
        using var bitmap = new SKBitmap(imageWidth, imageHeight);
        using (var canvas = new SKCanvas(bitmap))
        using (var paint = new SKPaint())
        using (SKShader noise = SKShader.CreatePerlinNoiseFractalNoise(0.05f, 0.05f, 4, seed))
        {
            paint.Shader = noise;
            canvas.DrawPaint(paint);
            paint.Shader = null;
            for (int i = 0; i < 30; i++)
            {
                paint.Color = new SKColor((byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256), 160);
                canvas.DrawOval(random.Next(imageWidth), random.Next(imageHeight), random.Next(5, 80), random.Next(5, 80), paint);
            }
        }
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
        return data.ToArray();
    }
}
