using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The upper level: one Adam step on all alphas with a validation batch (first order: the prompts are held fixed).</summary>
internal sealed class AlphaStep : IDisposable
{
    private readonly PromptedClip _clip;
    private readonly Supernet _supernet;
    private readonly Adam _optimizer;

    public AlphaStep(PromptedClip clip, Supernet supernet, SearchSettings settings)
    {
        (_clip, _supernet) = (clip, supernet);
        _optimizer = optim.Adam(supernet.Alphas, settings.AlphaLearningRate, settings.AlphaBeta1, settings.AlphaBeta2);
    }

    public void SetLearningRate(double rate)
    {
        foreach (var group in _optimizer.ParamGroups)
            group.LearningRate = rate;
    }

    /// <returns>The cross-entropy before the step.</returns>
    public double Run(ImageBatch validation, int epoch, int step)
    {
        _supernet.RequireGradients(ofAlphas: true, ofPrompts: false);
        return OptimizerStep.Take(
            _optimizer,
            backward => Losses.CrossEntropy(_supernet.Logits(_clip, validation.Images, backward), validation.Labels, validation.Weights),
            FitStage.Search,
            epoch,
            step,
            validation,
            isInValidation: true
        );
    }

    /// <summary>The optimizer, for checkpoints; owned by this object.</summary>
    public Adam Optimizer => _optimizer;

    public void Dispose() => _optimizer.Dispose();
}
