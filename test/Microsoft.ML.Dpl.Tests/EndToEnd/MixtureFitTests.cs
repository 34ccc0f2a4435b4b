using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Fits that keep the searched mixture itself as the result.</summary>
public sealed class MixtureFitTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private static readonly int[] Candidates = [0, 1, 3];

    private protected override DplTrainer.Options Common =>
        new()
        {
            Search =
            {
                CandidateLengths = Candidates,
                Epochs = 3,
                Result = SearchResult.Mixture,
                Compare = false,
            },
            Training = { Epochs = 4, LearningRate = 0.01 },
            Validation = { RowsPerClass = 2 },
        };

    [Theory]
    [InlineData(TrainingRecipe.Paper, false)]
    [InlineData(TrainingRecipe.Robust, false)]
    [InlineData(TrainingRecipe.Paper, true)]
    public void The_mixture_is_trained_on_saved_and_loaded(TrainingRecipe recipe, bool designed)
    {
        using DplTransformer transformer = Fit(o =>
        {
            o.Training.Recipe = recipe;
            if (designed)
                (o.Design.Coupled, o.Design.Context) = (true, new PromptContext());
        });
        Assert.Equal(Candidates, transformer.Mixture!.CandidateLengths);
        Assert.Empty(transformer.Finalists);
        Assert.NotNull(transformer.ValidationAccuracy);
        // The mixture's weights remain those of the search's last epoch.
        IReadOnlyList<float> alphas = transformer.SearchReport!.Epochs[^1].TextAlphas[0];
        double sum = alphas.Sum(alpha => Math.Exp(alpha));
        for (int candidate = 0; candidate < Candidates.Length; candidate++)
            Assert.Equal(Math.Exp(alphas[candidate]) / sum, transformer.Mixture.TextWeights[0][candidate], 1e-3);
        using DplTransformer loaded = Reloaded(transformer);
        Assert.Equal(Scores(transformer), Scores(loaded));
        Assert.Equal(transformer.Context, loaded.Context);
        using DplTransformer again = transformer.WithClasses(transformer.ClassNames);
        Assert.Equal(Scores(transformer), Scores(again));
    }

    [Theory]
    [InlineData(FitStage.Search, 2)]
    [InlineData(FitStage.Training, 1)]
    [InlineData(FitStage.Training, 3)]
    public void Interrupted_it_goes_on_to_the_same_bits(FitStage stage, int epoch)
    {
        static void Designed(DplTrainer.Options o) => o.Design.Context = new PromptContext();
        using DplTransformer whole = Fit(Designed);
        using var folder = new TemporaryFolder();
        using DplTransformer resumed = Interrupted(Designed, folder, stage, epoch);
        Assert.Equal(whole.Mixture!.ImageWeights, resumed.Mixture!.ImageWeights);
        Assert.Equal(Scores(whole), Scores(resumed));
    }

    [Fact]
    public void Resumed_and_cancelled_at_once_the_search_returns_the_mixture_of_before()
    {
        using var folder = new TemporaryFolder();
        using CancellationTokenSource inEpoch = new(),
            onResuming = new();
        void Kept(DplTrainer.Options o, CancellationTokenSource source) =>
            (o.Compute.WorkspacePath, o.OnCancel, o.CancellationToken) = (
                folder.File("workspace"),
                InterruptionBehavior.ReturnBest,
                source.Token
            );
        using DplTransformer before = Fit(o =>
        {
            Kept(o, inEpoch);
            o.Progress = new ProgressRecorder(report =>
            {
                if (report is { Stage: FitStage.Search, Epoch: 3, Step: 1 })
                    inEpoch.Cancel();
            });
        });
        MLContext.Log += (_, e) =>
        {
            if (e.Message.Contains("interrupted fit continues", StringComparison.Ordinal))
                onResuming.Cancel();
        };
        using DplTransformer resumed = Fit(o => Kept(o, onResuming));
        Assert.Equal(2, resumed.SearchReport!.Epochs.Count);
        Assert.Equal(before.Mixture!.TextWeights, resumed.Mixture!.TextWeights);
        Assert.Equal(before.Mixture.ImageWeights, resumed.Mixture.ImageWeights);
        Assert.Equal(Scores(before), Scores(resumed));
    }

    [Fact]
    public void Cancelled_before_training_the_searched_mixture_is_returned()
    {
        using var source = new CancellationTokenSource();
        using DplTransformer transformer = Fit(o =>
        {
            (o.CancellationToken, o.OnCancel) = (source.Token, InterruptionBehavior.ReturnBest);
            o.Progress = new ProgressRecorder(report =>
            {
                if (report is { Stage: FitStage.Training, Epoch: 1 })
                    source.Cancel();
            });
        });
        Assert.True(transformer.WasCancelled);
        Assert.NotNull(transformer.Mixture);
        Assert.Equal(Images.Test.Count, Scores(transformer).Length);
    }

    [Fact]
    public void Its_training_starts_where_the_search_ended()
    {
        // With a learning rate too small to change anything, the model is the mixture that the search found, however long it is trained.
        DplTransformer Short(int epochs) => Fit(o => (o.Training.Epochs, o.Training.LearningRate) = (epochs, 1e-30));
        using DplTransformer one = Short(1),
            three = Short(3);
        Assert.Equal(one.ExportPrompts().Text[0], three.ExportPrompts().Text[0]);
    }

    [Fact]
    public void Compared_to_uniform_lengths_it_is_the_first_finalist_and_what_is_best_is_trained_on_all_rows()
    {
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Fit(o =>
        {
            o.Search.Compare = true;
            o.Progress = reports;
        });
        IReadOnlyList<Finalist> finalists = transformer.Finalists;
        Assert.Equal([true, false, false], finalists.Select(finalist => finalist.IsMixture));
        Assert.Equal(transformer.SearchReport!.Configuration, finalists[0].Configuration);
        Finalist best = finalists.MinBy(finalist => finalist.ValidationLoss)!;
        Assert.Equal(best.IsMixture, transformer.Mixture is not null);
        Assert.Equal(best.Configuration, transformer.Configuration);
        Assert.Equal(best.ValidationAccuracy, transformer.ValidationAccuracy);
        // In the search and the comparison 12 training rows give two batches of 6; in the training all 18 rows give three.
        Assert.All(reports.Seen, report => Assert.Equal(report.Stage == FitStage.Training ? 3 : 2, report.Steps));
        using DplTransformer loaded = Reloaded(transformer);
        Assert.Equal(finalists, loaded.Finalists);
        Assert.Equal(Scores(transformer), Scores(loaded));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Interrupted_in_the_comparison_it_goes_on_to_the_same_bits(int epoch)
    {
        static void Compared(DplTrainer.Options o) => o.Search.Compare = true;
        using DplTransformer whole = Fit(Compared);
        using var folder = new TemporaryFolder();
        using DplTransformer resumed = Interrupted(Compared, folder, FitStage.Comparison, epoch);
        Assert.Equal(whole.Finalists, resumed.Finalists);
        Assert.Equal(Scores(whole), Scores(resumed));
    }

    [Fact]
    public void Without_a_comparison_it_can_be_trained_on_all_rows_and_then_has_no_validation_accuracy()
    {
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Fit(o =>
        {
            o.Validation.Refit = true;
            o.Progress = reports;
        });
        Assert.NotNull(transformer.Mixture);
        Assert.Null(transformer.ValidationAccuracy);
        Assert.All(reports.Seen, report => Assert.Equal(report.Stage == FitStage.Training ? 3 : 2, report.Steps));
    }
}
