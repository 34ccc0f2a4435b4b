using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>The updates of both stages' optimizers, compared with steps computed by hand from the same gradients.</summary>
public sealed class StepsByHandTests
{
    private const double Rate = 0.05,
        Momentum = 0.8,
        Decay = 0.5;

    [Fact]
    public void Training_steps_with_momentum_and_weight_decay()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        BranchPair<FixedBranch> prompts = trainable.Branches();
        using (prompts.Text)
        using (prompts.Image)
        {
            var byHand = new Sgd([.. prompts.Text.Parameters, .. prompts.Image.Parameters]);
            var settings = new TrainingSettings
            {
                Epochs = 2,
                LearningRate = Rate,
                Momentum = Momentum,
                WeightDecay = Decay,
            };
            // The first epoch is the warm-up; the second starts at the full rate.
            var steps = new StepRecorder { After = report => byHand.Follow(report.Epoch == 1 ? 1e-5 : Rate) };
            new PromptTraining(trainable.Clip, settings, steps).Run(prompts, trainable.Train, validation: null, new TrainingState());
            Assert.Equal(4, steps.Reports.Count);
        }
    }

    [Fact]
    public void The_searchs_prompts_step_with_momentum_and_weight_decay()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        using Supernet supernet = trainable.Supernet();
        float[] alphas = [.. supernet.Alphas.SelectMany(values => values.data<float>())];
        var byHand = new Sgd([.. supernet.Prompts]);
        var settings = new SearchSettings
        {
            LearningRate = 1,
            Momentum = Momentum,
            WeightDecay = Decay,
        };
        using var step = new PromptStep(trainable.Clip, supernet, settings);
        foreach (double rate in new[] { Rate, Rate / 2, Rate / 4 })
        {
            foreach (var group in step.Optimizer.ParamGroups)
                group.LearningRate = rate;
            using ImageBatch batch = trainable.Train.Read(0, 0);
            step.Run(batch, 0, 0);
            byHand.Follow(rate);
        }
        Assert.Equal(alphas, supernet.Alphas.SelectMany(values => values.data<float>()));
    }

    [Fact]
    public void The_alphas_step_by_Adam_with_its_two_rates_of_decay_and_no_weight_decay()
    {
        const double First = 0.6,
            Second = 0.9,
            Epsilon = 1e-8;
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        using Supernet supernet = trainable.Supernet();
        Parameter[] alphas = [.. supernet.Alphas];
        Tensor[] values = Copies(alphas),
            means = Zeros(alphas),
            squares = Zeros(alphas);
        var settings = new SearchSettings
        {
            AlphaLearningRate = Rate,
            AlphaBeta1 = First,
            AlphaBeta2 = Second,
            WeightDecay = Decay,
        };
        using var step = new AlphaStep(trainable.Clip, supernet, settings);
        for (int taken = 1; taken <= 3; taken++)
        {
            using ImageBatch batch = trainable.Validation.Read(0, taken % 2);
            step.Run(batch, 0, 0);
            for (int i = 0; i < alphas.Length; i++)
            {
                Tensor gradient = alphas[i].grad!.detach();
                means[i] = First * means[i] + (1 - First) * gradient;
                squares[i] = Second * squares[i] + (1 - Second) * gradient * gradient;
                Tensor mean = means[i] / (1 - Math.Pow(First, taken)),
                    square = squares[i] / (1 - Math.Pow(Second, taken));
                values[i] -= Rate * mean / (square.sqrt() + Epsilon);
                Close.Relative(values[i], alphas[i].detach(), 1e-5, $"alphas of branch {i} after {taken} steps");
            }
        }
    }

    [Fact]
    public void The_options_reach_the_optimizers_of_both_stages()
    {
        var options = new DplTrainer.Options
        {
            Training =
            {
                Momentum = 0.25,
                WeightDecay = 0.125,
                MaxGradientNorm = 5,
                LearningRate = 4,
                Epochs = 7,
            },
            Search =
            {
                LearningRate = 2,
                AlphaLearningRate = 3,
                Epochs = 6,
            },
        };
        var settings = options.ToSettings(seed: 0);
        SearchSettings search = settings.Search!;
        Assert.Equal((0.25, 0.125, 5), (search.Momentum, search.WeightDecay, search.MaxGradientNorm));
        Assert.Equal((2, 3, 6), (search.LearningRate, search.AlphaLearningRate, search.Epochs));
        Assert.Equal((0.5, 0.999), (search.AlphaBeta1, search.AlphaBeta2));
        TrainingSettings training = settings.Training;
        Assert.Equal((0.25, 0.125, 5), (training.Momentum, training.WeightDecay, training.MaxGradientNorm));
        Assert.Equal((4, 7), (training.LearningRate, training.Epochs));
    }

    private static Tensor[] Copies(IEnumerable<Parameter> parameters) => [.. parameters.Select(parameter => parameter.detach().clone())];

    private static Tensor[] Zeros(IEnumerable<Parameter> parameters) => [.. parameters.Select(parameter => zeros_like(parameter))];

    /// <summary>SGD as documented by PyTorch: v ← momentum · v + gradient + decay · prompts; prompts ← prompts − rate · v.</summary>
    private sealed class Sgd(Parameter[] parameters)
    {
        private readonly Tensor[] _values = Copies(parameters),
            _velocities = Zeros(parameters);
        private int _taken;

        /// <summary>Computes the step that the parameters have just taken, and compares.</summary>
        public void Follow(double rate)
        {
            _taken++;
            for (int i = 0; i < parameters.Length; i++)
            {
                _velocities[i] = Momentum * _velocities[i] + parameters[i].grad!.detach() + Decay * _values[i];
                _values[i] -= rate * _velocities[i];
                Close.Relative(_values[i], parameters[i].detach(), 1e-6, $"prompts {i} after {_taken} steps");
            }
        }
    }
}
