using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Fits with valid but probably unintended settings or data are reported in the log; others log no advice.</summary>
public sealed class FitAdviceTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private protected override DplTrainer.Options Common =>
        new() { Search = { CandidateLengths = [0, 1], Epochs = 3 }, Training = { Recipe = TrainingRecipe.Paper, Epochs = 3 } };

    [Fact]
    public void An_ordinary_fit_is_not_warned_of()
    {
        Fit(_ => { }).Dispose();
        Fit(o => (o.Configuration, o.Validation.Set) = (PromptConfiguration.Uniform(Small.Backbone, 1), View(Images.Test))).Dispose();
        Fit(o => (o.Configuration, o.Training.Epochs, o.Search.Epochs) = (PromptConfiguration.ZeroShot(Small.Backbone), 1, 1)).Dispose();
        Assert.Empty(Warnings);
    }

    [Fact]
    public void A_single_epoch_is_all_warm_up()
    {
        Fit(o => (o.Search.Epochs, o.Training.Epochs) = (1, 1)).Dispose();
        Assert.Single(Warnings, line =>
            line.Contains("Search.Epochs is 1, and the first epoch is a warm-up at a learning rate of 1e-05", StringComparison.Ordinal)
        );
        Assert.Single(Warnings, line => line.Contains("Training.Epochs is 1", StringComparison.Ordinal));
    }

    [Fact]
    public void A_patience_that_cannot_end_anything_is_told()
    {
        Fit(o => (o.Search.Patience, o.Training.Patience) = (3, 2)).Dispose();
        Assert.Contains(
            "Search.Patience is 3, which cannot end 3 epochs early: lower it, or set Search.Epochs to 5 or more",
            Assert.Single(Warnings, line => line.Contains("Search.Patience", StringComparison.Ordinal))
        );
        Assert.Contains(
            "Training.Patience is 2, which cannot end 3 epochs early",
            Assert.Single(Warnings, line => line.Contains("Training.Patience", StringComparison.Ordinal))
        );
        Fit(o => (o.Search.Patience, o.Training.Patience) = (1, 1)).Dispose();
        Assert.Equal(2, Warnings.Count);
    }

    [Fact]
    public void Steps_are_converted_to_epochs_before_they_are_judged()
    {
        // 18 images in batches of 6: an epoch has 3 steps.
        void Given(DplTrainer.Options o, int steps) =>
            (o.Configuration, o.Training.Epochs, o.Training.Steps, o.Validation.Set) = (
                PromptConfiguration.Uniform(Small.Backbone, 1),
                null,
                steps,
                View(Images.Test)
            );
        Fit(o =>
            {
                Given(o, 9);
                o.Training.Patience = 2;
            })
            .Dispose();
        Assert.Contains(
            "Training.Patience is 2, which cannot end 3 epochs early: lower it, or set Training.Steps to 12 or more",
            Assert.Single(Warnings)
        );
        Warnings.Clear();
        Fit(o => Given(o, 3)).Dispose();
        string warning = Assert.Single(Warnings);
        Assert.Contains("Training.Steps is 3, which is one epoch, and the first epoch is a warm-up", warning);
        Assert.Contains("Set it to 6 or more", warning);
        Warnings.Clear();
        Fit(o =>
            {
                Given(o, 30);
                o.Training.Patience = 2;
            })
            .Dispose();
        Assert.Empty(Warnings);
    }

    [Fact]
    public void A_class_that_outweighs_the_others_is_named_unless_weights_balance_it()
    {
        LabelledImage[] red = [.. Images.Train.Where(p => p.Label == "red")];
        LabelledImage[] rows =
        [
            .. Enumerable.Repeat(red, 7).SelectMany(p => p).Select(Fresh),
            .. Images.Train.Where(p => p.Label != "red" && p.Other < 2),
        ];
        void Given(DplTrainer.Options o) =>
            (o.Configuration, o.ImageColumnName, o.Training.BatchSize) = (PromptConfiguration.Uniform(Small.Backbone, 1), "ImageBytes", 23);
        Fit(Given, rows).Dispose();
        Assert.Contains(
            "Class 'red' makes up 91 % of the training rows, and the other classes' rows hardly count: set Training.ClassWeights to "
                + "Balanced",
            Assert.Single(Warnings)
        );
        Fit(
                o =>
                {
                    Given(o);
                    o.Training.ClassWeights = ClassWeights.Balanced;
                },
                rows
            )
            .Dispose();
        Assert.Single(Warnings);
    }

    [Fact]
    public void Files_that_are_trained_on_and_validated_on_are_told()
    {
        Fit(o =>
                (o.Configuration, o.Validation.Set) = (
                    PromptConfiguration.Uniform(Small.Backbone, 1),
                    View([.. Images.Test, Images.Train[2], Images.Train[5]])
                )
            )
            .Dispose();
        Assert.Contains(
            "Training data and validation set share files: 2 of 17 validation images are trained on too (the first: row 15 "
                + $"('{Images.Train[2].ImagePath}'))",
            Assert.Single(Warnings)
        );
        Warnings.Clear();
        Fit(_ => { }, [.. Images.Train, .. Images.Train]).Dispose();
        Assert.Contains("Training rows repeat files", Assert.Single(Warnings));
    }

    private static LabelledImage Fresh(LabelledImage p) =>
        new()
        {
            ImagePath = p.ImagePath,
            ImageBytes = p.ImageBytes,
            Label = p.Label,
        };
}
