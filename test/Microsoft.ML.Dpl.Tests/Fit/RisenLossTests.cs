using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Optimization;

namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Learning rates so high that the prompts become worse than untrained ones, although all values stay finite.</summary>
public sealed class RisenLossTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private const double TooHigh = 300;

    private protected override DplTrainer.Options Common =>
        new()
        {
            Configuration = PromptConfiguration.Uniform(Small.Backbone, 2),
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 5,
                LearningRate = TooHigh,
            },
        };

    /// <summary>A comparison numbers the epochs of all contenders consecutively, so the number alone does not show that one ends.</summary>
    [Fact]
    public void With_the_robust_recipe_every_contender_that_ends_so_is_told_and_none_that_goes_on()
    {
        FitSettings settings = new DplTrainer.Options { Backbone = Small.Backbone }.ToSettings(seed: 0);
        using var log = new HostLog(MLContext, nameof(DplTrainer), "Fit");
        var watch = new LossWatch(new StepRecorder(), settings, log);
        void Report(int epoch, bool isLast) =>
            watch.Report(
                new FitProgress
                {
                    Stage = FitStage.Comparison,
                    Epoch = epoch,
                    Epochs = 6,
                    Step = 1,
                    Steps = 1,
                    LearningRate = 1,
                    TrainLoss = 3,
                    EndedEpoch = new EpochMetrics
                    {
                        TrainLoss = 3,
                        FirstTrainLoss = 1,
                        Trouble = LossTrouble.Risen,
                        IsLast = isLast,
                    },
                }
            );
        Report(epoch: 1, isLast: false);
        Assert.Empty(Warnings);
        Report(epoch: 2, isLast: true);
        Assert.Contains("Comparison: the mean training loss of epoch 2 is 3, after 1 in the first", Assert.Single(Warnings));
    }

    [Fact]
    public void Training_that_ends_so_returns_the_prompts_with_which_the_loss_was_lowest()
    {
        var reports = new ProgressRecorder();
        using DplTransformer transformer = Fit(o => o.Progress = reports);
        List<double> losses = [.. reports.Seen.Select(r => r.EndedEpoch?.TrainLoss).OfType<double>()];
        Assert.True(LossTroubles.Find(losses, classes: 3) == LossTrouble.Risen, string.Join(' ', losses));
        int lowest = losses.LastIndexOf(losses.Skip(1).Min());
        Assert.Contains(
            "Training: the mean training loss of epoch ",
            Assert.Single(Warnings, line => line.Contains("The steps are too large", StringComparison.Ordinal))
        );
        Assert.Single(Warnings, line =>
            line.Contains(
                "set Training.LearningRate to 1e+02 or less (it is 3e+02), or bound the gradient (Training.MaxGradientNorm",
                StringComparison.Ordinal
            )
        );
        Assert.Single(Warnings, line =>
            line.Contains($"The prompts after {lowest} epochs are returned instead of the last ones", StringComparison.Ordinal)
        );

        // A fit that is cancelled after that epoch returns the same prompts.
        using var source = new CancellationTokenSource();
        using DplTransformer there = Fit(o =>
            (o.OnCancel, o.CancellationToken, o.Progress) = (
                InterruptionBehavior.ReturnBest,
                source.Token,
                new ProgressRecorder(r =>
                {
                    if (r.EndedEpoch is not null && r.Epoch == lowest)
                        source.Cancel();
                })
            )
        );
        Assert.True(there.WasCancelled);
        Assert.Equal(Scores(there), Scores(transformer));
    }
}
