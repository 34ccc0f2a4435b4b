using System.Buffers.Binary;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Fit;
using SkiaSharp;
using Tensorboard;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.TensorBoard;

public sealed class TensorBoardTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_fit_leaves_its_curves_alphas_and_images()
    {
        var reports = new ProgressRecorder();
        string path;
        DateTimeOffset began = DateTimeOffset.UtcNow;
        SearchReport search;
        using (var board = new TensorBoardProgress(_folder.File("run"), reports))
        {
            using DplTransformer transformer = Fit(board);
            (path, search) = (board.EventFilePath, transformer.SearchReport!);
            Assert.Null(board.Failure);
        }
        Assert.StartsWith("events.out.tfevents.", Path.GetFileName(path));
        Event[] events = [.. Read(path)];
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        Assert.All(events, e => Assert.InRange(e.WallTime, began.ToUnixTimeSeconds(), DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1));

        // 3 batches per epoch; every report appears, by step and by epoch.
        Assert.Equal(Steps(reports, FitStage.Search, r => r.TrainLoss), Curve(events, "search_steps/train_loss"));
        Assert.Equal(Steps(reports, FitStage.Search, r => r.ValidationLoss!.Value), Curve(events, "search_steps/validation_loss"));
        Assert.Equal(Steps(reports, FitStage.Training, r => r.TrainLoss), Curve(events, "training_steps/train_loss"));
        Assert.Empty(Curve(events, "training_steps/validation_loss"));
        Assert.Equal(Epochs(reports, FitStage.Search, e => e.TrainLoss), Curve(events, "search/train_loss"));
        Assert.Equal(Epochs(reports, FitStage.Search, e => e.DecidedLayers!.Value), Curve(events, "search/decided_layers"));
        Assert.Equal(Epochs(reports, FitStage.Search, e => e.LargestAlphaChange!.Value), Curve(events, "search/largest_alpha_change"));
        Assert.Equal(Epochs(reports, FitStage.Training, e => e.ValidationAccuracy!.Value), Curve(events, "training/validation_accuracy"));
        Assert.Equal(Epochs(reports, FitStage.Training, e => e.ValidationLoss!.Value), Curve(events, "training/validation_loss"));
        Assert.Equal(search.Epochs.Select((e, i) => (i + 1L, (float)e.LearningRate)), Curve(events, "search/learning_rate"));

        for (int epoch = 0; epoch < search.Epochs.Count; epoch++)
        {
            Check(events, epoch, "text", search.Epochs[epoch].TextAlphas);
            Check(events, epoch, "image", search.Epochs[epoch].ImageAlphas);
        }
    }

    /// <summary>The alphas reported with every epoch are those of the search report.</summary>
    [Fact]
    public void Every_epoch_of_the_search_reports_its_alphas()
    {
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Fit(reports);
        EpochMetrics[] ended = [.. reports.Seen.Select(r => r.EndedEpoch).OfType<EpochMetrics>()];
        Assert.Equal(
            transformer.SearchReport!.Epochs.Select(e => e.TextAlphas),
            ended.Where(e => e.TextAlphas is not null).Select(e => e.TextAlphas!)
        );
        Assert.Equal(
            transformer.SearchReport.Epochs.Select(e => e.ImageAlphas),
            ended.Where(e => e.ImageAlphas is not null).Select(e => e.ImageAlphas!)
        );
        Assert.Equal(
            reports.Seen.Where(r => r.Stage == FitStage.Training && r.EndedEpoch is not null).Count(),
            ended.Count(e => e.TextAlphas is null)
        );
    }

    [Fact]
    public void Two_runs_in_one_folder_have_a_file_each()
    {
        using (var first = new TensorBoardProgress(_folder.FullPath))
            first.Report(Report(1, new EpochMetrics { TrainLoss = 1 }));
        using (var second = new TensorBoardProgress(_folder.FullPath))
            second.Report(Report(2, new EpochMetrics { TrainLoss = 1 }));
        string[] files = [.. Directory.EnumerateFiles(_folder.FullPath).Order(StringComparer.Ordinal)];
        Assert.Equal(2, files.Length);
        Assert.Equal([(1L, 1f)], Curve([.. Read(files[0])], "training/train_loss"));
        Assert.Equal([(2L, 1f)], Curve([.. Read(files[1])], "training/train_loss"));
    }

    /// <summary>A concurrent reader sees every finished epoch before the file is closed.</summary>
    [Fact]
    public void Epochs_can_be_read_while_the_fit_runs()
    {
        using var board = new TensorBoardProgress(_folder.FullPath);
        board.Report(Report(1, new EpochMetrics { TrainLoss = 0.5, ValidationAccuracy = 0.75 }));
        Assert.Equal([(1L, 0.75f)], Curve([.. Read(board.EventFilePath)], "training/validation_accuracy"));
    }

    [Fact]
    public void Alphas_that_are_all_alike_or_not_finite_do_no_harm()
    {
        using (var board = new TensorBoardProgress(_folder.FullPath))
        {
            board.Report(
                Report(
                    1,
                    new EpochMetrics
                    {
                        TrainLoss = 1,
                        ValidationLoss = 1,
                        DecidedLayers = 0,
                        LargestAlphaChange = 0,
                        TextAlphas =
                        [
                            [0.5f, 0.5f],
                            [0.5f, 0.5f],
                        ],
                        ImageAlphas =
                        [
                            [float.NaN, 1],
                            [0, 1],
                        ],
                    }
                )
            );
            Assert.Null(board.Failure);
        }
        Event[] events = [.. Read(Directory.EnumerateFiles(_folder.FullPath).Single())];
        HistogramProto histogram = Values(events, "alphas/text").Single().Value.Histo;
        Assert.Equal((4d, 0.5, 0.5), (histogram.Bucket.Sum(), histogram.Min, histogram.Max));
        Assert.Empty(Values(events, "alphas/image"));
        Assert.Equal([(1L, 1f)], Curve(events, "training/train_loss"));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_known_before_the_fit()
    {
        File.WriteAllText(_folder.File("file"), "");
        Assert.ThrowsAny<IOException>(() => new TensorBoardProgress(_folder.File("file")));
    }

    /// <summary>Shows why the events are not written by TorchSharp's SummaryWriter. If this test fails after an update of TorchSharp, that
    /// writer can be used instead.</summary>
    [Fact]
    public void TorchSharps_own_writer_cannot_place_events_in_time()
    {
        LibTorchRuntime.Load();
        using var scope = torch.NewDisposeScope();
        TorchSharp.Modules.SummaryWriter writer = torch.utils.tensorboard.SummaryWriter(_folder.FullPath);
        writer.add_scalar("loss", 0.5f, 1);
        writer.add_histogram("alphas", torch.tensor([0.25f, 0.5f, 0.75f]), 1);
        writer.add_img("weights", torch.zeros(3, 4, 5), 1);
        Event[] events = [.. Read(Directory.EnumerateFiles(_folder.FullPath).Single())];
        Assert.Equal(4, events.Length);
        // TensorBoard starts a run at its first record; read as seconds since 1970, this time is twenty billion years ahead.
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        Assert.True(events[0].WallTime > 1e17);
        // Steps within one second get the same time.
        Assert.All(events[1..], e => Assert.Equal(Math.Floor(e.WallTime), e.WallTime));
    }

    private DplTransformer Fit(IProgress<FitProgress> progress)
    {
        var mlContext = new MLContext(1);
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { CandidateLengths = [0, 1, 3], Epochs = 3 },
            Training = { Recipe = TrainingRecipe.Paper, Epochs = 2 },
            Validation = { RowsPerClass = 2 },
            Progress = progress,
        };
        return mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private static FitProgress Report(int epoch, EpochMetrics ended) =>
        new()
        {
            Stage = FitStage.Training,
            Epoch = epoch,
            Epochs = 2,
            Step = 1,
            Steps = 1,
            LearningRate = 0.1,
            TrainLoss = ended.TrainLoss,
            ValidationAccuracy = ended.ValidationAccuracy,
            EndedEpoch = ended,
        };

    private static (long, float)[] Steps(ProgressRecorder reports, FitStage stage, Func<FitProgress, double> value) =>
        [.. reports.Seen.Where(r => r.Stage == stage).Select((r, i) => (i + 1L, (float)value(r)))];

    private static (long, float)[] Epochs(ProgressRecorder reports, FitStage stage, Func<EpochMetrics, double> value) =>
        [.. reports.Seen.Where(r => r.Stage == stage && r.EndedEpoch is not null).Select((r, i) => (i + 1L, (float)value(r.EndedEpoch!)))];

    private static (long, float)[] Curve(Event[] events, string tag) => [.. Values(events, tag).Select(v => (v.Step, v.Value.SimpleValue))];

    private static IEnumerable<(long Step, Summary.Types.Value Value)> Values(Event[] events, string tag) =>
        events.Where(e => e.Summary is not null).SelectMany(e => e.Summary.Value.Where(v => v.Tag == tag).Select(v => (e.Step, v)));

    private static void Check(Event[] events, int epoch, string branch, IReadOnlyList<IReadOnlyList<float>> alphas)
    {
        float[] numbers = [.. alphas.SelectMany(layer => layer)];
        HistogramProto histogram = Values(events, $"alphas/{branch}").Single(v => v.Step == epoch + 1).Value.Histo;
        Assert.Equal(numbers.Length, histogram.Num);
        Assert.Equal(numbers.Length, histogram.Bucket.Sum());
        Assert.Equal(((double)numbers.Min(), (double)numbers.Max()), (histogram.Min, histogram.Max));
        Assert.Equal(numbers.Sum(n => (double)n), histogram.Sum, 1e-12);
        Assert.Equal(histogram.Bucket.Count, histogram.BucketLimit.Count);
        Assert.Equal(histogram.BucketLimit.Order(), histogram.BucketLimit);
        Assert.Equal(histogram.Max, histogram.BucketLimit[^1]);

        Summary.Types.Image image = Values(events, $"weights/{branch}").Single(v => v.Step == epoch + 1).Value.Image;
        using SKBitmap bitmap = SKBitmap.Decode(image.EncodedImageString.ToByteArray());
        Assert.Equal((image.Width, image.Height), (bitmap.Width, bitmap.Height));
        int cell = bitmap.Width / alphas[0].Count;
        Assert.Equal(cell * alphas.Count, bitmap.Height);
        // The green of the colour map increases with the value.
        foreach (var (layer, row) in alphas.Select((layer, row) => (layer, row)))
        {
            int[] greens =
            [
                .. Enumerable.Range(0, layer.Count).Select(c => (int)bitmap.GetPixel(c * cell + cell / 2, row * cell + cell / 2).Green),
            ];
            int largest = layer.ToList().IndexOf(layer.Max());
            Assert.Equal(greens.Max(), greens[largest]);
            Assert.True(greens[largest] > 0x2D, "a weight of a third is no darker than the map's second colour");
        }
    }

    /// <summary>Reads the records of a file as the format describes them: length, its checksum, message, its checksum.</summary>
    private static IEnumerable<Event> Read(string path)
    {
        byte[] bytes;
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
        }
        for (int at = 0; at < bytes.Length; )
        {
            int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at)));
            Assert.Equal(Masked(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            Assert.Equal(Masked(bytes.AsSpan(at + 12, length)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            yield return Event.Parser.ParseFrom(bytes, at + 12, length);
            at += 16 + length;
        }
    }

    /// <summary>CRC-32C bit by bit (polynomial 0x1EDC6F41, reflected), masked as TFRecord does.</summary>
    private static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78u);
        }
        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8u);
    }
}
