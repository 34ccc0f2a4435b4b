using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The lower level: one step on all candidate prompts against a training batch.</summary>
internal sealed class PromptStep : IDisposable
{
    private readonly PromptedClip _clip;
    private readonly Supernet _supernet;
    private readonly PromptOptimizer _optimizer;
    private readonly double? _maxGradientNorm;

    public PromptStep(PromptedClip clip, Supernet supernet, SearchSettings settings)
    {
        (_clip, _supernet, _maxGradientNorm) = (clip, supernet, settings.MaxGradientNorm);
        _optimizer = new PromptOptimizer(supernet.Prompts, supernet.Temperature, settings);
    }

    /// <inheritdoc cref="PromptOptimizer.SetRate"/>
    public double SetRate(int epoch, int epochs, int step, int steps) => _optimizer.SetRate(epoch, epochs, step, steps);

    /// <returns>The cross-entropy before the step.</returns>
    public double Run(ImageBatch train, int epoch, int step)
    {
        _supernet.RequireGradients(ofAlphas: false, ofPrompts: true);
        return OptimizerStep.Take(
            _optimizer.Optimizer,
            backward => Losses.CrossEntropy(_supernet.Logits(_clip, train.Images, backward), train.Labels, train.Weights),
            DplStage.Search,
            epoch,
            step,
            train,
            maxGradientNorm: _maxGradientNorm
        );
    }

    /// <summary>The optimizer, for checkpoints; stays this object's.</summary>
    public OptimizerHelper Optimizer => _optimizer.Optimizer;

    public void Dispose() => _optimizer.Dispose();
}
