using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>Compares the whole second stage with the method as written down: the naive model, both losses, SGD and its schedule, all spelt
/// out.</summary>
public class WrittenDownTrainingTests
{
    private static readonly TrainingSettings Settings = new()
    {
        Epochs = 4,
        LearningRate = 0.02,
        WeightDecay = 0.01,
    };

    [Theory]
    [InlineData(0, 0, false)]
    [InlineData(0.7, 0, false)]
    [InlineData(0.7, 0, true)]
    [InlineData(0, 0.2, false)]
    [InlineData(0.7, 0.2, true)]
    public void Training_takes_the_steps_that_are_written_down(double distillation, double smoothing, bool weighted)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 11);
        using Generator generator = Seeds.Generator(12, "written down");
        TrainingSettings settings = Settings with
        {
            DistillationWeight = distillation,
            Objective = smoothing > 0 ? new ObjectiveSettings { LabelSmoothing = smoothing } : null,
        };
        int[][] texts = clip.RandomTexts(5, 3, 4, seed: 2);
        var batches = new RandomBatches(generator, weighted);
        using FixedBranch image = FixedBranch.Create([2, 0, 3], clip.Config.Image.Width, PromptDistribution.Normal(1), generator, CPU);
        using FixedBranch text = FixedBranch.Create([0, 2], clip.Config.Text.Width, PromptDistribution.Normal(1), generator, CPU);
        using FixedBranch expectedImage = new(image.Rows, CPU),
            expectedText = new(text.Rows, CPU);
        using var naive = new NaiveClip(clip, clip.Config);
        float[] losses = Spelt(naive, settings, texts, batches, expectedImage, expectedText);

        using var tower = new ImageTower(clip.Image);
        using var classTexts = new ClassTexts(texts, clip.Text);
        var steps = new StepRecorder();
        new PromptTraining(new PromptedClip(new TextTower(clip.Text), tower, classTexts), settings, steps).Run(
            new BranchPair<FixedBranch>(text, image),
            batches,
            validation: null,
            new TrainingState()
        );

        Close.Relative(tensor(losses), tensor(steps.Reports.Select(report => (float)report.TrainLoss).ToArray()), 1e-4, "losses");
        foreach (var (name, expected, actual) in new[] { ("image", expectedImage, image), ("text", expectedText, text) })
            for (int i = 0; i < expected.Parameters.Count; i++)
                Close.Relative(expected.Parameters[i].detach(), actual.Parameters[i].detach(), 1e-4, $"{name} prompt {i}");
    }

    /// <summary>Trains the branches in place and returns the cross-entropy of every step.</summary>
    private static float[] Spelt(
        NaiveClip naive,
        TrainingSettings settings,
        int[][] texts,
        RandomBatches batches,
        FixedBranch image,
        FixedBranch text
    )
    {
        Parameter[] parameters = [.. image.Parameters, .. text.Parameters];
        image.RequireGradients(true);
        text.RequireGradients(true);
        Tensor[] velocities = [.. parameters.Select(p => zeros_like(p))];
        var losses = new List<float>();
        for (int epoch = 0; epoch < settings.Epochs; epoch++)
        {
            double rate = epoch == 0 ? 1e-5 : 0.5 * settings.LearningRate * (1 + Math.Cos(Math.PI * (epoch - 1) / settings.Epochs));
            for (int index = 0; index < batches.BatchesPerEpoch; index++)
            {
                using ImageBatch batch = batches.Read(epoch, index);
                Tensor student = F.log_softmax(naive.Logits(batch.Images, texts, NaiveLayer.From(image), NaiveLayer.From(text)), -1);
                Tensor teacher = F.log_softmax(naive.Logits(batch.Images, texts, Plain(image), Plain(text)), -1).detach();
                Tensor Mean(Tensor ofRows) => (batch.Weights is null ? ofRows : ofRows * batch.Weights).mean();
                double smoothing = settings.Objective?.LabelSmoothing ?? 0;
                Tensor crossEntropy = Mean(-student.gather(1, batch.Labels.unsqueeze(1)).squeeze(1)),
                    loss =
                        (1 - smoothing) * crossEntropy
                        + smoothing * Mean(-student.mean([1]))
                        + settings.DistillationWeight * Mean((teacher.exp() * (teacher - student)).sum(-1));
                foreach (Parameter parameter in parameters)
                    parameter.grad = null;
                loss.backward();
                losses.Add(crossEntropy.item<float>());
                using var noGrad = no_grad();
                for (int i = 0; i < parameters.Length; i++)
                {
                    velocities[i] = settings.Momentum * velocities[i] + parameters[i].grad! + settings.WeightDecay * parameters[i];
                    parameters[i].sub_(rate * velocities[i]);
                }
            }
        }
        return [.. losses];
    }

    private static NaiveLayer[] Plain(FixedBranch branch) => [.. branch.Rows.Select(_ => new NaiveLayer(zeros(1), [null]))];
}
