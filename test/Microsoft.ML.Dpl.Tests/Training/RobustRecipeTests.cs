using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>Compares the robust recipe's steps, rates and temperature with their definitions, computed by hand.</summary>
public sealed class RobustRecipeTests
{
    private const double Rate = 0.01,
        TemperatureRate = 0.02,
        Decay = 0.1;

    [Fact]
    public void Prompts_and_temperature_step_by_AdamW_at_their_own_rates_and_the_temperature_does_not_decay()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        BranchPair<FixedBranch> prompts = trainable.Branches();
        using var temperature = new Temperature(4, CPU);
        using (prompts.Text)
        using (prompts.Image)
        {
            Parameter[] rows = [.. prompts.Text.Parameters, .. prompts.Image.Parameters];
            var byHand = new AdamWByHand([.. rows, temperature.Logarithm]);
            const int Epochs = 3,
                All = 6;
            var steps = new StepRecorder
            {
                After = report =>
                {
                    double share = LearningRateSchedule.ShareAt((report.Epoch - 1L) * 2 + report.Step - 1, All);
                    byHand.Follow(parameter =>
                        ReferenceEquals(parameter, temperature.Logarithm) ? (share * TemperatureRate, 0) : (share * Rate, Decay)
                    );
                },
            };
            var settings = new TrainingSettings
            {
                Recipe = TrainingRecipe.Robust,
                Epochs = Epochs,
                LearningRate = Rate,
                WeightDecay = Decay,
            };
            new PromptTraining(trainable.Clip, settings, steps).Run(
                prompts,
                trainable.Train,
                validation: null,
                new TrainingState(),
                checkpoints: null,
                temperature
            );
            Assert.Equal(All, steps.Reports.Count);
            Assert.NotEqual(4, temperature.Value, 3);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(100)]
    [InlineData(1600)]
    public void Rates_rise_over_a_tenth_of_the_steps_and_fall_to_nearly_nothing(int steps)
    {
        double[] shares = [.. Enumerable.Range(0, steps).Select(step => LearningRateSchedule.ShareAt(step, steps))];
        int top = steps / 10;
        Assert.Equal(1, shares[top], 12);
        Assert.All(shares, share => Assert.InRange(share, double.Epsilon, 1));
        Assert.Equal(shares[..top].Order(), shares[..top]);
        Assert.Equal(shares[top..].OrderDescending(), shares[top..]);
        if (steps > 1000)
            Assert.InRange(shares[^1], 0, 1e-5);
    }

    [Fact]
    public void The_temperature_starts_where_zero_shot_CLIPs_loss_is_lowest()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        ZeroShotStart start = ZeroShotStart.Measure(trainable.Clip, trainable.Train, validation: null, new StepRecorder());
        var plain = new BranchPair<PlainBranch>(
            new PlainBranch(trainable.Clip.Text.Weights.Blocks.Count),
            new PlainBranch(trainable.Clip.Image.Weights.Blocks.Count)
        );
        double LossAt(double temperature) =>
            Evaluation.Compute(trainable.Clip, plain, trainable.Train, new StepRecorder(), temperature).Loss;
        double[] powers = [.. Enumerable.Range(0, 7).Select(power => Math.Pow(2, power / 2.0))];
        Assert.Contains(powers, power => Math.Abs(power - start.Temperature) < 1e-9);
        Assert.Equal(powers.Min(LossAt), start.Loss, 4);
        Assert.Null(start.ValidationAccuracy);
    }

    [Fact]
    public void Interrupted_after_any_step_it_goes_on_to_the_same_bits()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        BranchPair<FixedBranch> initial = trainable.Branches();
        using (initial.Text)
        using (initial.Image)
        {
            (float[] Values, double Temperature) Run(int cancelAt)
            {
                BranchPair<FixedBranch> prompts = initial.Select(branch => new FixedBranch(branch.Rows, CPU));
                using var kept = new KeptStage();
                using var temperature = new Temperature(2, CPU);
                using (prompts.Text)
                using (prompts.Image)
                {
                    int looks = 0;
                    void Train(TrainingState state, Temperature learned, Action before) =>
                        new PromptTraining(
                            trainable.Clip,
                            new TrainingSettings
                            {
                                Recipe = TrainingRecipe.Robust,
                                Epochs = 3,
                                LearningRate = Rate,
                            },
                            new StepRecorder { Before = before }
                        ).Run(prompts, trainable.Train, validation: null, state, kept, learned);
                    try
                    {
                        Train(new TrainingState(), temperature, () =>
                        {
                            if (looks++ == cancelAt)
                                throw new OperationCanceledException();
                        });
                        return (Values(prompts), temperature.Value);
                    }
                    catch (OperationCanceledException)
                    {
                        using var fresh = new Temperature(1, CPU);
                        Train(TrainingState.FromJson(kept.Saved!.State), fresh, () => { });
                        return (Values(prompts), fresh.Value);
                    }
                }
            }
            (float[] expected, double temperature) = Run(cancelAt: int.MaxValue);
            for (int step = 1; step < 6; step++)
            {
                (float[] values, double resumed) = Run(step);
                Assert.Equal(expected, values);
                Assert.Equal(temperature, resumed);
            }
        }
    }

    [Theory]
    [InlineData(8, 2)]
    [InlineData(500, 125)]
    [InlineData(1, 1)]
    public void A_search_without_epochs_of_its_own_takes_a_quarter_of_those_of_training(int training, int search)
    {
        FitSettings settings = new DplTrainer.Options { Training = { Epochs = training } }
            .ToSettings(seed: 0)
            .For(classes: 10);
        Assert.Equal((search, null), (settings.Search!.Over(batches: 20).Epochs, settings.Search.Steps));
        FitSettings ordinary = new DplTrainer.Options().ToSettings(seed: 0).For(classes: 10);
        Assert.Equal(ordinary.Training.Steps / 4, ordinary.Search!.Steps);
    }

    private static float[] Values(BranchPair<FixedBranch> prompts) =>
        [.. prompts.Text.Parameters.Concat(prompts.Image.Parameters).SelectMany(rows => rows.data<float>().ToArray())];

    /// <summary>Loshchilov and Hutter's algorithm 2, in double precision.</summary>
    private sealed class AdamWByHand(Parameter[] parameters)
    {
        private readonly double[][] _values = [.. parameters.Select(Read)],
            _means = [.. parameters.Select(parameter => new double[parameter.numel()])],
            _squares = [.. parameters.Select(parameter => new double[parameter.numel()])];
        private int _steps;

        public void Follow(Func<Parameter, (double Rate, double Decay)> settings)
        {
            _steps++;
            for (int p = 0; p < parameters.Length; p++)
            {
                (double rate, double decay) = settings(parameters[p]);
                double[] gradient = Read(parameters[p].grad!),
                    now = Read(parameters[p]);
                for (int i = 0; i < gradient.Length; i++)
                {
                    _means[p][i] = 0.9 * _means[p][i] + 0.1 * gradient[i];
                    _squares[p][i] = 0.999 * _squares[p][i] + 0.001 * gradient[i] * gradient[i];
                    double mean = _means[p][i] / (1 - Math.Pow(0.9, _steps)),
                        square = _squares[p][i] / (1 - Math.Pow(0.999, _steps));
                    _values[p][i] = _values[p][i] * (1 - rate * decay) - rate * mean / (Math.Sqrt(square) + 1e-8);
                    Assert.Equal(_values[p][i], now[i], 1e-4);
                }
            }
        }

        private static double[] Read(Tensor tensor) => [.. tensor.detach().data<float>().ToArray().Select(value => (double)value)];
    }
}
