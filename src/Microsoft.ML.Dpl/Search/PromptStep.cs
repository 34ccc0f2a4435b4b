using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The lower level: one step on all candidate prompts with a training batch.</summary>
internal sealed class PromptStep : IDisposable
{
    private readonly PromptedClip _clip;
    private readonly Supernet _supernet;
    private readonly PromptOptimizer _optimizer;
    private readonly double? _maxGradientNorm;
    private readonly PromptObjective _objective;
    private readonly Teacher? _own;

    /// <param name="clip">The model.</param>
    /// <param name="supernet">The prompts to train.</param>
    /// <param name="settings">Settings of the search.</param>
    /// <param name="teachers">Reference models of the regularisers; not owned. Null: zero-shot CLIP, if the settings need one, computed for
    /// every batch.</param>
    public PromptStep(PromptedClip clip, Supernet supernet, SearchSettings settings, Teachers? teachers = null)
    {
        ObjectiveSettings beside = settings.Objective ?? new ObjectiveSettings();
        _own = beside.IsPlain || teachers is not null ? null : Teacher.Create(clip);
        _objective = new PromptObjective(beside, teachers ?? (_own is null ? null : new Teachers(_own)));
        (_clip, _supernet, _maxGradientNorm) = (clip, supernet, settings.MaxGradientNorm);
        _optimizer = new PromptOptimizer(supernet.Prompts, supernet.Temperature, settings);
    }

    /// <inheritdoc cref="PromptOptimizer.SetRate"/>
    public double SetRate(int epoch, int epochs, int step, int steps) => _optimizer.SetRate(epoch, epochs, step, steps);

    /// <returns>The cross-entropy before the step, without the regularisers.</returns>
    public double Run(ImageBatch train, int epoch, int step)
    {
        _supernet.RequireGradients(ofAlphas: false, ofPrompts: true);
        return _objective.Step(
            _optimizer,
            backward => _clip.Outputs(train.Images, _supernet.Passes, backward),
            _supernet.Temperature,
            train,
            FitStage.Search,
            epoch,
            step,
            _maxGradientNorm
        );
    }

    /// <summary>The optimizer, for checkpoints; owned by this object.</summary>
    public OptimizerHelper Optimizer => _optimizer.Optimizer;

    public void Dispose()
    {
        _optimizer.Dispose();
        _own?.Dispose();
    }
}
