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
    private readonly PromptObjective _objective;
    private readonly Teacher? _own;

    /// <param name="clip">The model.</param>
    /// <param name="supernet">What is searched.</param>
    /// <param name="settings">Of the search.</param>
    /// <param name="teachers">What regularisers compare to; not owned. Null: where the settings need one, zero-shot CLIP looks at every
    /// batch.</param>
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

    /// <summary>The optimizer, for checkpoints; stays this object's.</summary>
    public OptimizerHelper Optimizer => _optimizer.Optimizer;

    public void Dispose()
    {
        _optimizer.Dispose();
        _own?.Dispose();
    }
}
