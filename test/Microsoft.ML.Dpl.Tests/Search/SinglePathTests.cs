using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Tests.Training;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Search;

/// <summary>The robust recipe's search: nested prompts, of which each step samples one length per layer.</summary>
public sealed class SinglePathTests
{
    private static readonly int[] Candidates = [0, 1, 3];

    [Fact]
    public void A_drawn_path_computes_what_prompts_of_these_lengths_do()
    {
        using var scope = NewDisposeScope();
        using var nets = new Nets();
        var random = new Random(1);
        for (int draw = 0; draw < 6; draw++)
        {
            nets.Supernet.DrawPath(random);
            var lengths = nets.Supernet.Branches.Select(branch => (int[])[.. branch.Path!.Select(candidate => Candidates[candidate])]);
            using FixedBranch text = nets.Supernet.Branches.Text.Choose(lengths.Text),
                image = nets.Supernet.Branches.Image.Choose(lengths.Image);
            using ImageBatch batch = nets.Trainable.Train.Read(0, 0);
            using var backward = new BackwardTensors();
            Tensor expected = nets.Trainable.Clip.Logits(batch.Images, new BranchPair<FixedBranch>(text, image), backward),
                actual = nets.Supernet.Logits(nets.Trainable.Clip, batch.Images, backward);
            Close.Relative(expected.detach() / Nets.Temperature, actual.detach(), 1e-4, $"path {draw}");
        }
    }

    /// <summary>Straight-through estimator: the gradients are the softmax's, at the values of the drawn path.</summary>
    [Fact]
    public void The_alphas_gradients_pass_through_the_drawn_path()
    {
        using var scope = NewDisposeScope();
        using var nets = new Nets();
        nets.Supernet.Sharpen(3);
        nets.Supernet.DrawPath(new Random(2));
        nets.Supernet.RequireGradients(ofAlphas: true, ofPrompts: false);
        using ImageBatch batch = nets.Trainable.Train.Read(0, 0);
        using var backward = new BackwardTensors();
        Losses.CrossEntropy(nets.Supernet.Logits(nets.Trainable.Clip, batch.Images, backward), batch.Labels).backward();
        foreach (SupernetBranch branch in (SupernetBranch[])[nets.Supernet.Branches.Text, nets.Supernet.Branches.Image])
        {
            Tensor gradient = branch.Alphas.grad!;
            Assert.True(gradient.isfinite().all().item<bool>());
            Assert.InRange(gradient.abs().max().item<float>(), 1e-8, 1e3);
            // A softmax does not change when all its alphas shift by the same amount, so their gradients sum to 0.
            Assert.InRange(gradient.sum(-1).abs().max().item<float>(), 0, 1e-5);
        }
    }

    [Fact]
    public void Lengths_are_drawn_as_often_as_they_weigh()
    {
        using var scope = NewDisposeScope();
        using var nets = new Nets();
        SupernetBranch branch = nets.Supernet.Branches.Image;
        using (no_grad())
            branch.Alphas[0].copy_(tensor(new[] { 0f, (float)Math.Log(2), (float)Math.Log(5) }));
        var random = new Random(3);
        int[] counts = new int[3];
        const int Draws = 8000;
        for (int i = 0; i < Draws; i++)
        {
            branch.DrawPath(random);
            counts[branch.Path![0]]++;
        }
        Assert.Equal(1 / 8.0, counts[0] / (double)Draws, 0.02);
        Assert.Equal(2 / 8.0, counts[1] / (double)Draws, 0.02);
        Assert.Equal(5 / 8.0, counts[2] / (double)Draws, 0.02);
    }

    [Fact]
    public void A_search_ends_decided_and_cutting_it_to_its_choice_changes_little()
    {
        using var scope = NewDisposeScope();
        using var nets = new Nets();
        var settings = new SearchSettings
        {
            Recipe = TrainingRecipe.Robust,
            Candidates = Candidates,
            Epochs = 40,
            LearningRate = 0.01,
            AlphaLearningRate = 0.05,
            AlphaWarmUp = 0.5,
            FinalSharpness = 20,
            SinglePath = true,
            Seed = 4,
        };
        var state = new SearchState();
        new BilevelSearch(nets.Trainable.Clip, settings, new StepRecorder()).Run(
            nets.Supernet,
            nets.Trainable.Train,
            nets.Trainable.Validation,
            state
        );
        var report = new SearchReport(Candidates, state.Epochs);
        double[] confidence = [.. report.TextConfidence.Concat(report.ImageConfidence).Order()];
        Assert.InRange(confidence[confidence.Length / 2], 0.9, 1);

        nets.Supernet.Branches.Text.Path = nets.Supernet.Branches.Image.Path = null;
        double Loss<TBranch>(BranchPair<TBranch> prompts)
            where TBranch : IPromptedBranch =>
            Evaluation
                .Compute(nets.Trainable.Clip, prompts, nets.Trainable.Train, new StepRecorder(), nets.Supernet.Temperature!.Value)
                .Loss;
        using FixedBranch text = nets.Supernet.Branches.Text.Choose(report.Configuration.Text),
            image = nets.Supernet.Branches.Image.Choose(report.Configuration.Image);
        double mixture = Loss(nets.Supernet.Branches),
            choice = Loss(new BranchPair<FixedBranch>(text, image));
        Assert.InRange(choice, 0, mixture + 0.2);
    }

    [Fact]
    public void A_search_that_diverges_leaves_the_mixture_that_its_last_good_epoch_reports()
    {
        using var scope = NewDisposeScope();
        using var nets = new Nets();
        var settings = new SearchSettings
        {
            Recipe = TrainingRecipe.Robust,
            Candidates = Candidates,
            Epochs = 4,
            AlphaLearningRate = 0.5,
            FinalSharpness = 20,
            SinglePath = true,
        };
        var steps = new StepRecorder
        {
            After = report =>
            {
                if (report is { Epoch: 3, Step: 1 })
                    nets.Supernet.Temperature!.Set(double.NaN);
            },
        };
        var state = new SearchState();
        Assert.Throws<NonFiniteValueException>(() =>
            new BilevelSearch(nets.Trainable.Clip, settings, steps).Run(
                nets.Supernet,
                nets.Trainable.Train,
                nets.Trainable.Validation,
                state
            )
        );
        Assert.Equal(2, state.GoodEpochs);
        BranchPair<MixtureBranch> mixture = nets.Supernet.ToMixture();
        using (mixture.Text)
        using (mixture.Image)
        {
            SearchEpoch good = state.Epochs[1];
            AssertWeights(good.TextAlphas, mixture.Text.Weights);
            AssertWeights(good.ImageAlphas, mixture.Image.Weights);
        }

        static void AssertWeights(IReadOnlyList<IReadOnlyList<float>> alphas, IReadOnlyList<IReadOnlyList<float>> weights)
        {
            for (int layer = 0; layer < alphas.Count; layer++)
            {
                double sum = alphas[layer].Sum(alpha => Math.Exp(alpha));
                for (int candidate = 0; candidate < Candidates.Length; candidate++)
                    Assert.Equal(Math.Exp(alphas[layer][candidate]) / sum, weights[layer][candidate], 1e-5);
            }
        }
    }

    [Fact]
    public void Nested_prompts_need_as_many_rows_as_the_longest_candidate()
    {
        using var scope = NewDisposeScope();
        Tensor alphas = zeros(2, 3);
        Assert.Throws<ArgumentException>(() => new SupernetBranch(Candidates, alphas, [zeros(4, 8), zeros(4, 8)], nested: true).Dispose());
        new SupernetBranch(Candidates, alphas, [zeros(3, 8), zeros(3, 8)], nested: true).Dispose();
        new SupernetBranch(Candidates, alphas, [zeros(4, 8), zeros(4, 8)]).Dispose();
    }

    private sealed class Nets : IDisposable
    {
        public const double Temperature = 2;

        private readonly Generator _generator = Seeds.Generator(23, "single path");

        public Nets()
        {
            SupernetBranch Branch(int layers, long width) =>
                SupernetBranch.Create(Candidates, layers, (int)width, PromptDistribution.Normal(1), _generator, CPU, nested: true);
            Supernet = new Supernet(
                new BranchPair<SupernetBranch>(
                    Text: Branch(Trainable.Clip.Text.Weights.Blocks.Count, Trainable.Clip.Text.Weights.Config.Text.Width),
                    Image: Branch(Trainable.Clip.Image.Weights.Blocks.Count, Trainable.Clip.Image.Weights.Config.Image.Width)
                ),
                new Dpl.Network.Temperature(Temperature, CPU)
            );
        }

        public TrainableClip Trainable { get; } = new();

        public Supernet Supernet { get; }

        public void Dispose()
        {
            Supernet.Dispose();
            Trainable.Dispose();
            _generator.Dispose();
        }
    }
}
