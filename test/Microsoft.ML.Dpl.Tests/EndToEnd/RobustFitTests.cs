using Drawing.Tasks;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A fit with the trainer's default stages: search, comparison, refit.</summary>
public sealed class RobustFitTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private const int Search = 3,
        Training = 4;

    private protected override DplTrainer.Options Common =>
        new()
        {
            Search = { CandidateLengths = [0, 1, 3], Epochs = Search },
            Training = { Epochs = Training, LearningRate = 0.01 },
            Validation = { RowsPerClass = 2 },
        };

    [Fact]
    public void The_configuration_with_the_lowest_validation_loss_is_trained_on_all_rows()
    {
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Fit(o => o.Progress = reports);
        IReadOnlyList<Finalist> finalists = transformer.Finalists;
        Assert.Contains(PromptConfiguration.Uniform(Small.Backbone, 1), finalists.Select(finalist => finalist.Configuration));
        Assert.Contains(PromptConfiguration.Uniform(Small.Backbone, 3), finalists.Select(finalist => finalist.Configuration));
        Assert.Equal(finalists.Count, finalists.Select(finalist => finalist.Configuration).Distinct().Count());
        Finalist best = finalists.MinBy(finalist => finalist.ValidationLoss)!;
        Assert.Equal(best.Configuration, transformer.Configuration);
        Assert.Equal(best.ValidationAccuracy, transformer.ValidationAccuracy);
        // In the search and the comparison 12 training rows give two batches of 6; in the training all 18 rows give three.
        Assert.All(reports.Seen, report => Assert.Equal(report.Stage == FitStage.Training ? 3 : 2, report.Steps));
        Assert.Equal([FitStage.Search, FitStage.Comparison, FitStage.Training], reports.Seen.Select(report => report.Stage).Distinct());
        Assert.Equal(Enumerable.Range(1, finalists.Count), reports.Seen.Where(IsComparison).Select(report => report.Epoch).Distinct());
        Assert.Null(reports.Seen[0].Remaining);
    }

    [Fact]
    public void Contenders_of_the_paper_s_recipe_are_trained_as_the_winner_is()
    {
        static void Paper(DplTrainer.Options o) => o.Training.Recipe = TrainingRecipe.Paper;
        using DplTransformer compared = Fit(o =>
        {
            Paper(o);
            // A contender takes a quarter of the epochs of training.
            (o.Search.Compare, o.Training.Epochs) = (true, 8);
        });
        var reports = new ProgressRecorder();
        var configuration = PromptConfiguration.Uniform(Small.Backbone, 3);
        using DplTransformer alone = Fit(o =>
        {
            Paper(o);
            (o.Configuration, o.Training.Epochs, o.Progress) = (configuration, 2, reports);
        });
        Finalist finalist = compared.Finalists.Single(one => one.Configuration.Equals(configuration));
        EpochMetrics last = reports.Seen[^1].EndedEpoch!;
        Assert.Equal(last.TrainLoss, finalist.TrainLoss);
        Assert.Equal(last.ValidationLoss, finalist.ValidationLoss);
    }

    [Fact]
    public void Two_fits_find_the_same_bits_and_a_loaded_model_keeps_scores_and_finalists()
    {
        using DplTransformer first = Fit(_ => { }),
            second = Fit(_ => { });
        Assert.Equal(Scores(first), Scores(second));
        using DplTransformer loaded = Reloaded(first);
        Assert.Equal(Scores(first), Scores(loaded));
        Assert.Equal(first.Finalists, loaded.Finalists);
        // WithClasses keeps the learned temperature: the same class names give the same probabilities.
        using DplTransformer again = first.WithClasses(first.ClassNames);
        Assert.Equal(Scores(first), Scores(again));
    }

    [Fact]
    public void Labels_are_smoothed_by_a_tenth_unless_another_part_or_the_paper_s_recipe_is_asked_for()
    {
        using DplTransformer asItIs = Fit(_ => { }),
            tenth = Fit(o => o.Training.LabelSmoothing = 0.1),
            none = Fit(o => o.Training.LabelSmoothing = 0),
            paper = Fit(o => o.Training.Recipe = TrainingRecipe.Paper),
            paperWithout = Fit(o => (o.Training.Recipe, o.Training.LabelSmoothing) = (TrainingRecipe.Paper, 0));
        Assert.Equal(Scores(tenth), Scores(asItIs));
        Assert.NotEqual(Scores(none), Scores(asItIs));
        Assert.Equal(Scores(paperWithout), Scores(paper));
    }

    [Theory]
    [InlineData(FitStage.Search, 2)]
    [InlineData(FitStage.Comparison, 1)]
    [InlineData(FitStage.Comparison, 2)]
    [InlineData(FitStage.Training, 3)]
    public void Interrupted_in_any_stage_it_goes_on_to_the_same_bits(FitStage stage, int epoch)
    {
        using DplTransformer whole = Fit(_ => { });
        using var folder = new TemporaryFolder();
        using DplTransformer resumed = Interrupted(_ => { }, folder, stage, epoch);
        Assert.Equal(whole.Finalists, resumed.Finalists);
        Assert.Equal(Scores(whole), Scores(resumed));
    }

    [Fact]
    public void Cancelled_in_the_comparison_it_can_return_what_was_searched()
    {
        using var source = new CancellationTokenSource();
        using DplTransformer transformer = Fit(o =>
        {
            (o.CancellationToken, o.OnCancel) = (source.Token, InterruptionBehavior.ReturnBest);
            o.Progress = new ProgressRecorder(report =>
            {
                if (report is { Stage: FitStage.Comparison, Epoch: 2 })
                    source.Cancel();
            });
        });
        Assert.True(transformer.WasCancelled);
        Assert.Equal(transformer.SearchReport!.Configuration, transformer.Configuration);
        Assert.Contains(Warnings, line => line.Contains("The comparison was cancelled", StringComparison.Ordinal));
        Assert.Equal(Images.Test.Count, Scores(transformer).Length);
    }

    [Fact]
    public void Prompts_that_are_worse_than_none_are_not_returned()
    {
        using var folder = new TemporaryFolder();
        // A task that the embedded CLIP solves well without prompts.
        DrawnTask task = DrawnTasks.Named("sketches");
        DrawnTaskFiles.Write(task, folder.FullPath, trainPerClass: 2, validationPerClass: 1, testPerClass: 1, seed: 1);
        LabelledImage[] rows =
        [
            .. File.ReadLines(folder.File("train.tsv"))
                .Skip(1)
                .Select(line => line.Split('\t'))
                .Select(row => new LabelledImage { ImagePath = folder.File(row[0]), Label = row[1] }),
        ];
        using DplTransformer transformer = Fit(
            o =>
            {
                o.Backbone = ClipBackbone.TinyDrawn;
                (o.Template, o.Configuration) = (task.Template, PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 2));
                (o.Validation.RowsPerClass, o.Training.LearningRate) = (null, 1000);
            },
            rows
        );
        Assert.True(transformer.Configuration.IsZeroShot);
        Assert.Contains(Warnings, line => line.Contains("zero-shot CLIP, without prompts", StringComparison.Ordinal));
    }

    [Fact]
    public void Without_a_comparison_what_was_searched_is_trained_and_validated()
    {
        using DplTransformer transformer = Fit(o => o.Search.Compare = false);
        Assert.Empty(transformer.Finalists);
        Assert.NotNull(transformer.ValidationAccuracy);
        if (transformer.SearchReport is { } report && !transformer.Configuration.IsZeroShot)
            Assert.Equal(report.CandidateLengths, [0, 1, 3]);
    }

    [Theory]
    [InlineData("Training.Steps")]
    [InlineData("Validation.Refit")]
    public void Options_that_contradict_each_other_are_refused(string option)
    {
        var e = Assert.Throws<ArgumentException>(() =>
            Fit(o =>
            {
                if (option == "Training.Steps")
                    o.Training.Steps = 10;
                else
                    (o.Configuration, o.Validation.Refit) = (PromptConfiguration.Uniform(Small.Backbone, 1), true);
            })
        );
        Assert.Equal(option, e.ParamName);
    }

    private static bool IsComparison(FitProgress report) => report.Stage == FitStage.Comparison;
}
