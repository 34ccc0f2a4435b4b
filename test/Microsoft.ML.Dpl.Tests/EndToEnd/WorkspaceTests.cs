using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Checkpoints: an interrupted fit resumes to results bit-identical to those of an uninterrupted one, and reports which
/// checkpoints it cannot resume from.</summary>
public sealed class WorkspaceTests
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IClassFixture<WorkspaceTests.Reference>,
        IDisposable
{
    /// <summary>A learning rate at which the validation accuracy falls again after the best epoch.</summary>
    private const double Overshoot = 20;

    private readonly MLContext _mlContext = new(1);
    private readonly ConcurrentQueue<string> _log = new();
    private readonly TemporaryFolder _folder = new();
    private readonly SmallBackbone _small;
    private readonly ColourImages _images;
    private readonly Reference _reference;

    public WorkspaceTests(SmallBackbone small, ColourImages images, Reference reference)
    {
        (_small, _images, _reference) = (small, images, reference);
        _mlContext.Log += (_, e) => _log.Enqueue(e.Message);
    }

    private string Workspace => _folder.File("workspace");

    private string[] Checkpoints => [.. Directory.GetFiles(Workspace, "checkpoint*").Order()];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    [InlineData(4, false)]
    public void Interrupted_anywhere_it_ends_in_the_same_bits(int seed, bool byToken)
    {
        string expected = Uninterrupted();
        Random random = Seeds.Random(seed, "interruptions");
        int interruptions = 0;
        for (string? content = null; content is null; )
        {
            int steps = 1 + random.Next(8);
            double minutes = random.Next(2) == 0 ? 1e-8 : 60;
            content = Try(steps, byToken, o => o.Compute.CheckpointInterval = TimeSpan.FromMinutes(minutes));
            if (content is null)
                Assert.True(++interruptions < 100, "the fit does not get on");
            else
                Assert.Equal(expected, content);
        }
        Assert.True(interruptions >= 2, $"{interruptions} interruptions");
        Assert.Contains(_log, line => line.Contains("interrupted fit continues", StringComparison.Ordinal));
        Assert.Empty(Checkpoints);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(17)]
    public void A_damaged_checkpoint_is_passed_over_for_the_one_before(int steps)
    {
        Assert.Null(Try(steps, byToken: false));
        Assert.Equal(2, Checkpoints.Length);
        Damage(Latest());
        Assert.Equal(Uninterrupted(), Try(99, byToken: false));
        Assert.Contains(_log, line => line.Contains("is damaged or cannot be read, and is skipped", StringComparison.Ordinal));
        Assert.Contains(_log, line => line.Contains("interrupted fit continues", StringComparison.Ordinal));
    }

    [Fact]
    public void Where_all_are_damaged_it_is_refused_and_nothing_is_deleted()
    {
        Assert.Null(Try(5, byToken: true));
        File.WriteAllBytes(Checkpoints[0], []);
        File.WriteAllBytes(Checkpoints[1], File.ReadAllBytes(Checkpoints[1])[..^1]);
        string[] before = Checkpoints;
        byte[][] content = [.. before.Select(File.ReadAllBytes)];
        string message = Assert.Throws<InvalidDataException>(() => Try(99, byToken: false)).Message;
        Assert.All(before, path => Assert.Contains(path, message));
        Assert.Contains("delete the folder's checkpoint-*.safetensors to start over", message);
        Assert.Equal(before, Checkpoints);
        Assert.Equal(content, Checkpoints.Select(File.ReadAllBytes));
        // Follow the message's advice.
        foreach (string path in before)
            File.Delete(path);
        Assert.Equal(Uninterrupted(), Try(99, byToken: false));
    }

    [Fact]
    public void Another_number_of_threads_is_warned_of()
    {
        Assert.Null(Try(5, byToken: true));
        string threads = $"\"Threads\":\"{TorchSharp.torch.get_num_threads()}\"";
        foreach (string path in Checkpoints)
        {
            using Checkpoint earlier = CheckpointFile.Read(path);
            Assert.Contains(threads, earlier.Texts["fingerprint"]);
            var texts = new Dictionary<string, string>(earlier.Texts)
            {
                ["fingerprint"] = earlier.Texts["fingerprint"].Replace(threads, "\"Threads\":\"64\"", StringComparison.Ordinal),
            };
            using FileStream stream = File.Create(path);
            CheckpointFile.Write(stream, earlier with { Texts = texts });
        }
        Assert.Equal(Uninterrupted(), Try(99, byToken: false));
        Assert.Contains(_log, line =>
            line.Contains("ran with 64 threads", StringComparison.Ordinal) && line.Contains("OMP_NUM_THREADS=64", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void A_fit_that_ended_starts_over()
    {
        var reports = new ProgressRecorder();
        Assert.NotNull(Try(99, byToken: false));
        Assert.Empty(Checkpoints);
        Assert.NotNull(Try(99, byToken: false, o => o.Progress = reports));
        Assert.Equal((FitStage.Search, 1, 1), (reports.Seen[0].Stage, reports.Seen[0].Epoch, reports.Seen[0].Step));
    }

    [Fact]
    public void A_cancelled_fit_that_returned_its_best_can_be_continued()
    {
        using var source = new CancellationTokenSource();
        DplTrainer.Options options = ResumableFit.Options(_small.Backbone, Workspace);
        (options.OnCancel, options.CancellationToken) = (InterruptionBehavior.ReturnBest, source.Token);
        options.Progress = new ProgressRecorder(r =>
        {
            if (r is { Stage: FitStage.Training, Epoch: 2, Step: 2 })
                source.Cancel();
        });
        using (DplTransformer cut = ResumableFit.Fit(_mlContext, options, _images.Train))
            Assert.True(cut.WasCancelled);
        Assert.Equal(Uninterrupted(), Try(99, byToken: false));
    }

    [Theory]
    [InlineData(60, 1)]
    [InlineData(1e-8, ResumableFit.StepsPerEpoch)]
    public void Within_an_epoch_the_interval_decides(double minutes, int perEpoch)
    {
        Assert.Null(Try(2 * ResumableFit.StepsPerEpoch, byToken: false, o => o.Compute.CheckpointInterval = TimeSpan.FromMinutes(minutes)));
        // A step is reported before the checkpoint that follows it is written.
        Assert.Equal($"checkpoint-{2 * perEpoch}.safetensors", Path.GetFileName(Latest()));
    }

    [Fact]
    public void Another_fits_checkpoint_is_refused_with_what_differs()
    {
        Assert.Null(Try(5, byToken: true));
        using var other = new TemporaryFolder();
        SmallBackbone.Write(other.FullPath, seed: 5);
        ClipBackbone otherBackbone = ClipBackbone.Open(other.FullPath);
        foreach (
            var (change, named) in new (Action<DplTrainer.Options>, string)[]
            {
                (o => o.Training.BatchSize = 5, "Training.BatchSize was 4 and is 5"),
                (o => o.Seed = 2, "Seed was 1 and is 2"),
                (o => o.Search.Epochs = 9, "Search.Epochs was 4 and is 9"),
                (o => o.Training.LearningRate = 0.5, "Training.LearningRate was 0.02 and is 0.5"),
                (o => o.Search.CandidateLengths = [0, 1], "Search.CandidateLengths was [0,1,3] and is [0,1]"),
                (o => o.Template = "{}", "Template"),
                (o => o.Training.ClassWeights = new Dictionary<string, double> { ["red"] = 2 }, "ClassWeights"),
                (o => o.ExampleWeightColumnName = null, "Training data"),
                (o => o.Validation.RowsPerClass = 1, "Validation rows was 6 and is 3"),
                (o => o.Backbone = otherBackbone, "CLIP's SHA-256"),
            }
        )
        {
            string message = Assert.Throws<InvalidOperationException>(() => Try(99, byToken: false, change)).Message;
            Assert.Contains(named, message);
            Assert.Contains(Workspace, message);
        }
        Assert.Contains(
            "Training rows was 12 and is 11",
            Assert.Throws<InvalidOperationException>(() => Try(99, byToken: false, rows: [.. _images.Train.Skip(1)])).Message
        );
        // The refusal leaves the checkpoint intact.
        Assert.Equal(Uninterrupted(), Try(99, byToken: false));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_told_before_any_image_is_read()
    {
        string file = _folder.File("file");
        File.WriteAllText(file, "");
        var broken = new LabelledImage { ImagePath = "/missing/a.png", Label = "red" };
        string message = Assert
            .Throws<IOException>(() =>
                Try(99, byToken: false, o => o.Compute.WorkspacePath = Path.Combine(file, "workspace"), [.. _images.Train, broken])
            )
            .Message;
        Assert.Contains("Compute.WorkspacePath", message);
        Assert.Contains(file, message);
    }

    [Fact]
    public void A_folder_in_use_is_refused_and_free_again_afterwards()
    {
        using (CheckpointFolder.Open(Workspace, 1))
            Assert.Contains("one fit at a time", Assert.Throws<IOException>(() => Try(99, byToken: false)).Message);
        Assert.NotNull(Try(99, byToken: false));
    }

    [Fact]
    public void A_folder_that_fails_during_the_fit_is_warned_of_and_the_fit_ends()
    {
        int seen = 0;
        string? content = Try(99, byToken: false, o => o.Progress = new ProgressRecorder(_ =>
            {
                if (++seen == 4)
                    Directory.Delete(Workspace, recursive: true);
            }));
        Assert.Equal(Uninterrupted(), content);
        Assert.Contains(_log, line => line.Contains("No checkpoint could be written", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true, 0.02)]
    [InlineData(false, 0.02)]
    // A learning rate so high that the loss rises.
    [InlineData(false, 50)]
    public void Given_lengths_resume_too(bool validated, double rate)
    {
        void Fixed(DplTrainer.Options o)
        {
            (o.Configuration, o.Training.LearningRate) = (PromptConfiguration.Uniform(_small.Backbone, 2), rate);
            if (!validated)
                (o.Validation.RowsPerClass, o.Training.Patience) = (null, null);
        }
        DplTrainer.Options whole = ResumableFit.Options(_small.Backbone, null);
        Fixed(whole);
        using DplTransformer transformer = ResumableFit.Fit(_mlContext, whole, _images.Train);
        Assert.Null(Try(8, byToken: false, Fixed));
        Assert.Equal(ResumableFit.Content(_mlContext, transformer), Try(99, byToken: false, Fixed));
    }

    /// <summary>The best epoch lies before the interruption and no later one is as good: its prompts come from the checkpoint.</summary>
    [Fact]
    public void The_best_epoch_before_the_interruption_is_returned()
    {
        void Overshooting(DplTrainer.Options o) =>
            (o.Configuration, o.Training.Epochs, o.Training.LearningRate, o.Training.Patience) = (
                PromptConfiguration.Uniform(_small.Backbone, 1),
                6,
                Overshoot,
                null
            );
        DplTrainer.Options whole = ResumableFit.Options(_small.Backbone, null);
        Overshooting(whole);
        var reports = new ProgressRecorder();
        whole.Progress = reports;
        using DplTransformer transformer = ResumableFit.Fit(_mlContext, whole, _images.Train);
        double?[] accuracies = [.. reports.Seen.Where(report => report.EndedEpoch is not null).Select(report => report.ValidationAccuracy)];
        int best = Array.LastIndexOf(accuracies, accuracies.Max()) + 1;
        Assert.True(best <= 4, $"accuracies {string.Join(' ', accuracies)}: no epoch before the last two is the best");
        Assert.Null(Try((best + 1) * ResumableFit.StepsPerEpoch + 1, byToken: false, Overshooting));
        Assert.Equal(ResumableFit.Content(_mlContext, transformer), Try(99, byToken: false, Overshooting));
    }

    /// <summary>Runs a fit and interrupts it after the given number of steps. Returns null then, else its model's content.</summary>
    private string? Try(int steps, bool byToken, Action<DplTrainer.Options>? change = null, IReadOnlyList<LabelledImage>? rows = null)
    {
        using var source = new CancellationTokenSource();
        DplTrainer.Options options = ResumableFit.Options(_small.Backbone, Workspace);
        options.CancellationToken = source.Token;
        int seen = 0;
        options.Progress = new ProgressRecorder(_ =>
        {
            if (++seen < steps)
                return;
            if (byToken)
                source.Cancel();
            else
                throw new Interruption();
        });
        change?.Invoke(options);
        try
        {
            using DplTransformer transformer = ResumableFit.Fit(_mlContext, options, rows ?? _images.Train);
            return ResumableFit.Content(_mlContext, transformer);
        }
        catch (Exception e) when (e is OperationCanceledException or Interruption)
        {
            return null;
        }
    }

    /// <summary>The content of the model of an uninterrupted fit, which is the same for all tests and hence fitted only once.</summary>
    private string Uninterrupted()
    {
        if (_reference.Content is { } known)
            return known;
        using DplTransformer transformer = ResumableFit.Fit(_mlContext, ResumableFit.Options(_small.Backbone, null), _images.Train);
        return _reference.Content = ResumableFit.Content(_mlContext, transformer);
    }

    private string Latest() =>
        Checkpoints.MaxBy(path =>
            int.Parse(Path.GetFileNameWithoutExtension(path).Split('-')[1], System.Globalization.CultureInfo.InvariantCulture)
        )!;

    /// <summary>Flips one bit of the tensor data, which leaves the file's structure valid.</summary>
    private static void Damage(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^3] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    private sealed class Interruption : Exception;

    /// <summary>The reference content that all tests of this class compare with.</summary>
    public sealed class Reference
    {
        public string? Content { get; set; }
    }
}
