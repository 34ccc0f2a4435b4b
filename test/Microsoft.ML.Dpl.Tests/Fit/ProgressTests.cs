using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Fit;

public sealed class ProgressTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    [Fact]
    public void Every_step_is_reported_and_every_epoch_logged()
    {
        var mlContext = new MLContext(1);
        var log = new ConcurrentQueue<string>();
        mlContext.Log += (_, e) => log.Enqueue(e.Message);
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Trainer(mlContext, reports).Fit(Rows(mlContext));

        // 18 rows, of which 2 of each class are held out: 12 for training in 3 batches of 4, and 6 for validation.
        Assert.Equal(3 * 3 + 2 * 3, reports.Seen.Count);
        Assert.Equal(
            Enumerable.Repeat(FitStage.Search, 9).Concat(Enumerable.Repeat(FitStage.Training, 6)),
            reports.Seen.Select(r => r.Stage)
        );
        Assert.All(reports.Seen, r => Assert.Equal(r.Stage == FitStage.Search, r.ValidationLoss is not null));
        Assert.Equal(2, reports.Seen.Count(r => r.ValidationAccuracy is not null));
        foreach (var stage in reports.Seen.GroupBy(r => r.Stage))
        {
            Assert.Equal(stage.Select(r => r.Fraction).Order(), stage.Select(r => r.Fraction));
            Assert.Equal(1, stage.Last().Fraction);
            Assert.Equal(TimeSpan.Zero, stage.Last().Remaining);
        }
        Assert.Equal(transformer.ValidationAccuracy, reports.Seen.Max(r => r.ValidationAccuracy));
        Assert.Equal(3, log.Count(line => line.Contains("Search epoch", StringComparison.Ordinal)));
        Assert.Equal(2, log.Count(line => line.Contains("Training epoch", StringComparison.Ordinal)));
        Assert.Single(log, line => line.Contains("Device: cpu", StringComparison.Ordinal));
        Assert.Equal(3, transformer.SearchReport!.Epochs.Count);
        Assert.All(transformer.SearchReport.TextConfidence.Concat(transformer.SearchReport.ImageConfidence), c =>
            Assert.InRange(c, 1.0 / 3, 1)
        );
    }

    [Fact]
    public void Every_epoch_ends_with_its_figures()
    {
        var mlContext = new MLContext(1);
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Trainer(mlContext, reports).Fit(Rows(mlContext));
        Assert.All(reports.Seen, r => Assert.Equal(r.Step == r.Steps, r.EndedEpoch is not null));
        foreach (var epoch in reports.Seen.GroupBy(r => (r.Stage, r.Epoch)))
        {
            EpochMetrics ended = epoch.Last().EndedEpoch!;
            Assert.Equal(epoch.Average(r => r.TrainLoss), ended.TrainLoss, 1e-12);
            Assert.Equal(epoch.Last().ValidationAccuracy, ended.ValidationAccuracy);
            Assert.NotNull(ended.ValidationLoss);
            Assert.Equal(epoch.Key.Stage == FitStage.Search, ended.DecidedLayers is not null);
            Assert.Equal(epoch.Key.Stage == FitStage.Search, ended.LargestAlphaChange is not null);
        }
        EpochMetrics[] searched = [.. reports.Seen.Where(r => r.Stage == FitStage.Search).Select(r => r.EndedEpoch).OfType<EpochMetrics>()];
        Assert.Equal(
            transformer.SearchReport!.Epochs.Select(e => (e.TrainLoss, e.ValidationLoss)),
            searched.Select(e => (e.TrainLoss, e.ValidationLoss!.Value))
        );
        Assert.Equal(
            LargestChange(transformer.SearchReport.Epochs[0], transformer.SearchReport.Epochs[1]),
            searched[1].LargestAlphaChange!.Value,
            1e-7
        );
        Assert.True(searched[0].LargestAlphaChange > 0);
    }

    [Fact]
    public void The_training_loss_is_the_cross_entropy_without_what_a_step_adds_to_it()
    {
        List<FitProgress> Reports(double smoothing, double distillation)
        {
            var mlContext = new MLContext(1);
            var reports = new ProgressRecorder();
            DplTrainer trainer = Trainer(mlContext, reports, change: o =>
            {
                o.Configuration = PromptConfiguration.Uniform(small.Backbone, 2);
                (o.Training.LabelSmoothing, o.Training.DistillationWeight) = (smoothing, distillation);
            });
            trainer.Fit(Rows(mlContext)).Dispose();
            return reports.Seen;
        }
        List<FitProgress> plain = Reports(0, 0),
            changed = Reports(0.5, 5);
        // Both fits begin with the same prompts and the same batch, but their steps differ.
        Assert.Equal(plain[0].TrainLoss, changed[0].TrainLoss);
        Assert.NotEqual(plain[^1].TrainLoss, changed[^1].TrainLoss);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void The_margin_says_what_counts_as_decided(double margin, bool decided)
    {
        var mlContext = new MLContext(1);
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Trainer(mlContext, reports, change: o => o.Search.Margin = margin).Fit(Rows(mlContext));
        int layers = transformer.Configuration.Text.Count + transformer.Configuration.Image.Count;
        Assert.All(reports.Seen.Where(r => r.EndedEpoch?.DecidedLayers is not null), r =>
            Assert.Equal(decided ? layers : 0, r.EndedEpoch!.DecidedLayers)
        );
    }

    [Theory]
    [InlineData(0.5, "00:30:00 left")]
    [InlineData(30.25, "30:15:00 left")]
    [InlineData(172, "172:00:00 left")]
    public void A_line_tells_days_in_hours(double hours, string expected) =>
        Assert.EndsWith(
            expected,
            new FitProgress
            {
                Stage = FitStage.Search,
                Epoch = 1,
                Epochs = 2,
                Step = 3,
                Steps = 4,
                LearningRate = 1e-5,
                TrainLoss = 1.25,
                Remaining = TimeSpan.FromHours(hours),
            }.ToString()
        );

    /// <summary>A report is copied on its way to the caller; the copy constructor must include any member that is added.</summary>
    [Fact]
    public void A_copy_has_every_member()
    {
        var report = new FitProgress
        {
            Stage = FitStage.Training,
            Epoch = 1,
            Epochs = 2,
            Step = 3,
            Steps = 4,
            LearningRate = 5,
            TrainLoss = 6,
            ValidationLoss = 7,
            ValidationAccuracy = 0.8,
            Elapsed = TimeSpan.FromSeconds(9),
            Remaining = TimeSpan.FromSeconds(10),
            EndedEpoch = new EpochMetrics { TrainLoss = 11 },
        };
        Assert.All(typeof(FitProgress).GetProperties(), property =>
        {
            object? value = property.GetValue(report);
            Assert.NotEqual(property.PropertyType.IsValueType ? Activator.CreateInstance(property.PropertyType) : null, value);
            Assert.Equal(value, property.GetValue(new FitProgress(report)));
        });
    }

    [Theory]
    [InlineData(FitStage.Search)]
    [InlineData(FitStage.Training)]
    public void A_cancelled_token_ends_the_fit_before_the_next_step(FitStage stage)
    {
        var mlContext = new MLContext(1);
        using var source = new CancellationTokenSource();
        var reports = new ProgressRecorder(r =>
        {
            if (r.Stage == stage && r.Step == 2)
                source.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => Trainer(mlContext, reports, source.Token).Fit(Rows(mlContext)));
        Assert.Equal((stage, 2), (reports.Seen[^1].Stage, reports.Seen[^1].Step));
    }

    [Fact]
    public void Cancelling_the_context_ends_the_fit_before_the_next_step()
    {
        var mlContext = new MLContext(1);
        var reports = new ProgressRecorder(r =>
        {
            if (r.Step == 2)
                mlContext.CancelExecution();
        });
        Assert.Throws<OperationCanceledException>(() => Trainer(mlContext, reports).Fit(Rows(mlContext)));
        Assert.Equal(2, reports.Seen.Count);
    }

    private DplTrainer Trainer(
        MLContext mlContext,
        IProgress<FitProgress> progress,
        CancellationToken cancellationToken = default,
        Action<DplTrainer.Options>? change = null
    )
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { CandidateLengths = [0, 1, 3], Epochs = 3 },
            Training = { Recipe = TrainingRecipe.Paper, Epochs = 2 },
            Validation = { RowsPerClass = 2 },
            Progress = progress,
            CancellationToken = cancellationToken,
        };
        change?.Invoke(options);
        return mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    private static double LargestChange(SearchEpoch before, SearchEpoch after) =>
        before
            .TextAlphas.Concat(before.ImageAlphas)
            .SelectMany(a => a)
            .Zip(after.TextAlphas.Concat(after.ImageAlphas).SelectMany(a => a))
            .Max(pair => Math.Abs(pair.First - pair.Second));

    private IDataView Rows(MLContext mlContext) => mlContext.Data.LoadFromEnumerable(images.Train);
}
