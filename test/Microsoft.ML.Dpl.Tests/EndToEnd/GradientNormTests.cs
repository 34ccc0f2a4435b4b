using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Clipping of the prompts' gradient norm.</summary>
public sealed class GradientNormTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    [Theory]
    [InlineData(0.5)]
    [InlineData(4.99)]
    [InlineData(5.01)]
    [InlineData(100)]
    public void Longer_gradients_are_shortened_to_the_bound_and_others_left(double bound)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using Parameter first = new(zeros(2)),
            second = new(zeros(1, 2)),
            without = new(zeros(3));
        (first.dot(tensor(new float[] { 3, 0 })) + (second * tensor(new float[] { 0, -4 })).sum()).backward();
        GradientNorm.Bound([first, second, without], bound);
        double norm = GradientNorm.Norm([first.grad!, second.grad!]).item<double>();
        Assert.True(norm <= bound * (1 + 1e-6), $"{norm} is above {bound}");
        if (bound > 5)
            Assert.Equal(new float[] { 3, 0, 0, -4 }, Numbers());
        else
            Assert.Equal(bound, norm, bound * 1e-6);
        Assert.Equal(-0.75, Numbers()[0] / Numbers()[3], 1e-6);
        Assert.Null(without.grad);

        float[] Numbers() => [.. first.grad!.data<float>(), .. second.grad!.data<float>()];
    }

    [Fact]
    public void No_gradient_stays_none_and_none_at_all_does_no_harm()
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using Parameter still = new(ones(2));
        (still * 0).sum().backward();
        GradientNorm.Bound([still], 1);
        Assert.Equal(new float[2], still.grad!.data<float>().ToArray());
        using Parameter without = new(ones(2));
        GradientNorm.Bound([without], 1);
    }

    [Fact]
    public void The_bound_is_for_prompts_and_temperature_together()
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using Parameter prompt = new(zeros(2));
        using var temperature = new Temperature(1, CPU);
        temperature.Logarithm.requires_grad_(true);
        using var optimizer = new PromptOptimizer([prompt], temperature, new TrainingSettings { Recipe = TrainingRecipe.Robust });
        OptimizerStep.Take(
            optimizer.Optimizer,
            _ => prompt.dot(tensor(new float[] { 3, 0 })) + temperature.Logarithm * 4,
            FitStage.Training,
            epoch: 0,
            step: 0,
            maxGradientNorm: 1
        );
        Assert.Equal(0.6, prompt.grad!.data<float>()[0], 1e-6);
        Assert.Equal(0.8, temperature.Logarithm.grad!.item<float>(), 1e-6);
    }

    /// <summary>With plain SGD a step is the learning rate times the gradient, so the bound shows in how far the prompts move.</summary>
    [Theory]
    [InlineData(0.01)]
    [InlineData(0.1)]
    public void A_training_step_goes_no_further_than_the_bound(double bound)
    {
        const double rate = 10;
        // Two epochs of one step each; the first is the warm-up at 1e-5, which hardly moves the prompts.
        void OneStepAnEpoch(DplTrainer.Options o, double? norm) =>
            (
                o.Training.Epochs,
                o.Training.BatchSize,
                o.Training.Momentum,
                o.Training.WeightDecay,
                o.Training.LearningRate,
                o.Training.MaxGradientNorm
            ) = (2, 18, 0, 0, rate, norm);
        ExportedPrompts Prompts(Action<DplTrainer.Options> change)
        {
            using DplTransformer transformer = Fit(change);
            return transformer.ExportPrompts();
        }
        ExportedPrompts start = Prompts(o =>
            {
                OneStepAnEpoch(o, null);
                o.Training.Epochs = 1;
            }),
            bounded = Prompts(o => OneStepAnEpoch(o, bound)),
            free = Prompts(o => OneStepAnEpoch(o, null));
        Assert.InRange(Distance(start, bounded), rate * bound * 0.99, rate * bound * 1.01);
        Assert.True(Distance(start, free) > 1.5 * rate * bound, "the gradient is longer than the bound");
    }

    [Fact]
    public void A_wide_bound_changes_no_bit_and_a_tight_one_both_stages()
    {
        void Searches(DplTrainer.Options o, double? norm) =>
            (o.Configuration, o.Search.CandidateLengths, o.Search.Epochs, o.Validation.RowsPerClass, o.Training.MaxGradientNorm) = (
                null,
                [0, 1, 3],
                3,
                2,
                norm
            );
        using DplTransformer free = Fit(o => Searches(o, null)),
            wide = Fit(o => Searches(o, 1e6)),
            tight = Fit(o => Searches(o, 1e-3));
        Assert.Equal(Losses(free), Losses(wide));
        Assert.Equal(free.Configuration, wide.Configuration);
        Assert.Equal(0, Distance(free.ExportPrompts(), wide.ExportPrompts()));
        Assert.NotEqual(Losses(free), Losses(tight));

        static double[] Losses(DplTransformer transformer) =>
            [.. transformer.SearchReport!.Epochs.SelectMany(e => new[] { e.TrainLoss, e.ValidationLoss })];
    }

    [Fact]
    public void A_checkpoint_of_another_bound_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var cancel = new CancellationTokenSource();
        void Interrupted(DplTrainer.Options o)
        {
            (o.Compute.WorkspacePath, o.Training.MaxGradientNorm, o.CancellationToken) = (folder.FullPath, 1, cancel.Token);
            o.Progress = new ProgressRecorder(_ => cancel.Cancel());
        }
        Assert.Throws<OperationCanceledException>(() => Fit(Interrupted));
        InvalidOperationException thrown = Assert.Throws<InvalidOperationException>(() =>
            Fit(o => (o.Compute.WorkspacePath, o.Training.MaxGradientNorm) = (folder.FullPath, 2))
        );
        Assert.Contains("Training.MaxGradientNorm was 1 and is 2", thrown.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Bounds_that_are_none_are_refused(double bound) =>
        Assert.Contains("above 0", Assert.Throws<ArgumentOutOfRangeException>(() => Fit(o => o.Training.MaxGradientNorm = bound)).Message);

    private DplTransformer Fit(Action<DplTrainer.Options> change)
    {
        var mlContext = new MLContext(1);
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 2),
            Training =
            {
                Recipe = TrainingRecipe.Paper,
                Epochs = 2,
                BatchSize = 6,
            },
        };
        change(options);
        return mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private static double Distance(ExportedPrompts a, ExportedPrompts b) =>
        Math.Sqrt(Numbers(a).Zip(Numbers(b)).Sum(pair => Math.Pow((double)pair.First - pair.Second, 2)));

    private static IEnumerable<float> Numbers(ExportedPrompts prompts) =>
        prompts.Text.Concat(prompts.Image).OfType<float[,]>().SelectMany(rows => rows.Cast<float>());
}
