using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The lower level: one SGD step on all candidate prompts against a training batch.</summary>
internal sealed class PromptStep : IDisposable
{
    private readonly PromptedClip _clip;
    private readonly Supernet _supernet;
    private readonly SGD _optimizer;
    private readonly double? _maxGradientNorm;

    public PromptStep(PromptedClip clip, Supernet supernet, SearchSettings settings)
    {
        (_clip, _supernet, _maxGradientNorm) = (clip, supernet, settings.MaxGradientNorm);
        _optimizer = optim.SGD(
            supernet.Prompts,
            settings.PromptLearningRate,
            momentum: settings.Momentum,
            weight_decay: settings.WeightDecay
        );
    }

    public void SetLearningRate(double rate)
    {
        foreach (var group in _optimizer.ParamGroups)
            group.LearningRate = rate;
    }

    /// <returns>The cross-entropy before the step.</returns>
    public double Run(ImageBatch train, int epoch, int step)
    {
        _supernet.RequireGradients(ofAlphas: false, ofPrompts: true);
        return OptimizerStep.Take(
            _optimizer,
            backward => Losses.CrossEntropy(_clip.Logits(train.Images, _supernet.Branches, backward), train.Labels, train.Weights),
            DplStage.Search,
            epoch,
            step,
            train,
            maxGradientNorm: _maxGradientNorm
        );
    }

    /// <summary>The optimizer, for checkpoints; stays this object's.</summary>
    public SGD Optimizer => _optimizer;

    public void Dispose() => _optimizer.Dispose();
}
