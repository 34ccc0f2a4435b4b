using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Early stopping of the search and of training.</summary>
public sealed class EarlyStoppingTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void A_decided_search_ends_and_keeps_the_schedule_of_all_epochs()
    {
        using DplTransformer whole = Fit(_ => { }),
            stopped = Fit(o => (o.Search.Patience, o.Search.Margin) = (1, 0));
        int epochs = stopped.SearchReport!.Epochs.Count;
        Assert.InRange(epochs, 2, whole.SearchReport!.Epochs.Count - 1);
        Assert.Equal(
            whole.SearchReport.Epochs.Take(epochs).Select(e => (e.LearningRate, e.TrainLoss, e.ValidationLoss)),
            stopped.SearchReport.Epochs.Select(e => (e.LearningRate, e.TrainLoss, e.ValidationLoss))
        );
        Assert.False(stopped.WasCancelled);
    }

    [Fact]
    public void A_search_that_never_leads_by_the_margin_runs_all_its_epochs()
    {
        using DplTransformer transformer = Fit(o => (o.Search.Patience, o.Search.Margin) = (1, 1));
        Assert.Equal(6, transformer.SearchReport!.Epochs.Count);
    }

    [Fact]
    public void Training_ends_after_epochs_without_a_better_validation_accuracy()
    {
        var whole = new ProgressRecorder();
        var reports = new ProgressRecorder();
        var log = new ConcurrentQueue<string>();
        _mlContext.Log += (_, e) => log.Enqueue(e.Message);
        using (Fit(o => o.Progress = whole)) { }
        using DplTransformer stopped = Fit(o => (o.Training.Patience, o.Progress) = (2, reports));
        double[] all = Accuracies(whole),
            seen = Accuracies(reports);
        Assert.Equal(all.Take(seen.Length), seen);
        int best = seen.ToList().IndexOf(seen.Max());
        Assert.Equal(best + 2, seen.Length - 1);
        Assert.True(seen.Length < all.Length);
        Assert.Equal(seen.Max(), stopped.ValidationAccuracy);
        Assert.Contains(log, line => line.Contains("has not risen for 2 epochs", StringComparison.Ordinal));
    }

    [Fact]
    public void Patience_without_validation_rows_is_refused()
    {
        string message = Assert
            .Throws<ArgumentException>(() =>
                Fit(o => (o.Training.Patience, o.Configuration) = (1, PromptConfiguration.Uniform(small.Backbone, 1)))
            )
            .Message;
        Assert.Contains("Validation.Set", message);
    }

    private static double[] Accuracies(ProgressRecorder reports) => [.. reports.Seen.Select(r => r.ValidationAccuracy).OfType<double>()];

    private DplTransformer Fit(Action<DplTrainer.Options> change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search =
            {
                CandidateLengths = [0, 2],
                Epochs = 6,
                AlphaLearningRate = 0.05,
            },
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                BatchSize = 6,
                Epochs = 12,
            },
        };
        change(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }
}
