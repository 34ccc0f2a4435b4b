using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Optimizer settings of a stage; the defaults are the paper's.</summary>
internal abstract record PromptOptimizerSettings
{
    public TrainingRecipe Recipe { get; init; } = TrainingRecipe.Paper;

    /// <summary>The number of epochs, at least 1.</summary>
    public int Epochs { get; init; }

    /// <summary>Number of steps from which the number of epochs is computed; null: <see cref="Epochs"/> applies.</summary>
    public int? Steps { get; init; }

    /// <summary>Peak learning rate of the prompts.</summary>
    public double LearningRate { get; init; } = 0.0035;

    /// <summary>Peak learning rate of the temperature's logarithm.</summary>
    public double TemperatureLearningRate { get; init; } = 0.02;

    /// <summary>Momentum of SGD; AdamW does not use it.</summary>
    public double Momentum { get; init; } = 0.9;

    public double WeightDecay { get; init; } = 5e-4;

    /// <summary>Largest norm of the gradient of prompts and temperature together, above 0; null: gradients are not clipped.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Number of epochs of this many batches: enough for <see cref="Steps"/>, or <see cref="Epochs"/> if that is null.</summary>
    protected int EpochsOf(int batches) => Steps is int steps ? Math.Max(1, (int)Math.Ceiling((double)steps / batches)) : Epochs;
}

/// <summary>The optimizer of a stage's prompts and temperature, as the recipe defines it.</summary>
internal sealed class PromptOptimizer : IDisposable
{
    private const double Beta1 = 0.9,
        Beta2 = 0.999;

    private readonly PromptOptimizerSettings _settings;

    /// <param name="prompts">The parameters; not owned.</param>
    /// <param name="temperature">Trained with the prompts; null if the recipe has none.</param>
    /// <param name="settings">Settings of the stage.</param>
    public PromptOptimizer(IEnumerable<Parameter> prompts, Temperature? temperature, PromptOptimizerSettings settings)
    {
        _settings = settings;
        Prompts = [.. prompts];
        Optimizer =
            settings.Recipe == TrainingRecipe.Paper
                ? optim.SGD(Prompts, settings.LearningRate, momentum: settings.Momentum, weight_decay: settings.WeightDecay)
                : optim.AdamW([
                    Group(Prompts, settings.LearningRate, settings.WeightDecay),
                    .. temperature is null
                        ? []
                        : new[] { Group([temperature.Logarithm], settings.TemperatureLearningRate, weightDecay: 0) },
                ]);
    }

    /// <summary>The parameters of the optimizer, without the temperature.</summary>
    public IReadOnlyList<Parameter> Prompts { get; }

    /// <summary>The underlying optimizer, for steps and checkpoints; owned by this object.</summary>
    public OptimizerHelper Optimizer { get; }

    /// <summary>Sets the learning rates for one step.</summary>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="epochs">Number of epochs of a complete run.</param>
    /// <param name="step">The step within the epoch, from 0.</param>
    /// <param name="steps">Number of steps per epoch.</param>
    /// <returns>The prompts' learning rate.</returns>
    public double SetRate(int epoch, int epochs, int step, int steps)
    {
        double share = LearningRateSchedule.ShareAt((long)epoch * steps + step, (long)epochs * steps);
        double rate =
            _settings.Recipe == TrainingRecipe.Paper
                ? LearningRateSchedule.At(epoch, epochs, _settings.LearningRate)
                : _settings.LearningRate * share;
        foreach (var (group, rates) in Optimizer.ParamGroups.Zip([rate, _settings.TemperatureLearningRate * share]))
            group.LearningRate = rates;
        return rate;
    }

    public void Dispose() => Optimizer.Dispose();

    private static AdamW.ParamGroup Group(IEnumerable<Parameter> parameters, double rate, double weightDecay) =>
        new(
            parameters,
            new AdamW.Options
            {
                LearningRate = rate,
                InitialLearningRate = rate,
                beta1 = Beta1,
                beta2 = Beta2,
                eps = 1e-8,
                weight_decay = weightDecay,
            }
        );
}
