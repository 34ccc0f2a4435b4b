using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Everything that a stage needs to continue as if it had not been interrupted.</summary>
/// <param name="State">The <see cref="StageState{TEpoch}"/> as JSON.</param>
/// <param name="Tensors">Parameters, optimizers and remembered values by name; not owned by this object.</param>
internal sealed record SavedStage(string State, IReadOnlyDictionary<string, Tensor> Tensors);

/// <summary>The checkpoints of one stage.</summary>
internal interface IStageCheckpoints
{
    /// <summary>The state to resume from; null: the stage starts from the beginning.</summary>
    SavedStage? Saved { get; }

    /// <summary>Whether a checkpoint within an epoch is due.</summary>
    bool IsDue { get; }

    /// <summary>Whether the final state of a finished run is saved too, so that it need not be run again.</summary>
    bool KeepsEnd { get; }

    /// <summary>Saves a state in place of earlier ones. A write failure is logged and does not end the run.</summary>
    void Save(SavedStage stage);
}

/// <summary>Decides when a stage's checkpoints are saved: between epochs, when one is due, and before a cancelled run ends.</summary>
/// <param name="observer">May cancel the run.</param>
/// <param name="checkpoints">Where checkpoints are saved; null: none are saved.</param>
internal sealed class CheckpointSchedule(IRunObserver observer, IStageCheckpoints? checkpoints)
{
    private bool _tookStep;

    /// <summary>Saves a checkpoint if one is due or if the run is cancelled here.</summary>
    /// <param name="betweenEpochs">Whether the next step is the first of an epoch.</param>
    /// <param name="stage">Creates the state to save; called in a dispose scope of its own.</param>
    /// <exception cref="OperationCanceledException">The observer cancelled the run; the checkpoint was saved.</exception>
    public void BeforeStep(bool betweenEpochs, Func<SavedStage> stage)
    {
        bool continues = false;
        try
        {
            observer.ThrowIfCancelled();
            continues = _tookStep = true;
        }
        finally
        {
            if (checkpoints is not null && (!continues || betweenEpochs || checkpoints.IsDue))
                Save(checkpoints, stage);
        }
    }

    /// <summary>Saves the final state, if final states are saved and the run took any steps.</summary>
    /// <param name="stage">Creates the state to save.</param>
    public void AtEnd(Func<SavedStage> stage)
    {
        if (_tookStep && checkpoints is { KeepsEnd: true })
            Save(checkpoints, stage);
    }

    /// <summary>Runs work between two steps, and saves a checkpoint if the observer cancels it.</summary>
    /// <param name="work">The work, for example an evaluation.</param>
    /// <param name="stage">Creates the state to save.</param>
    public T During<T>(Func<T> work, Func<SavedStage> stage)
    {
        try
        {
            return work();
        }
        catch (OperationCanceledException) when (checkpoints is not null)
        {
            Save(checkpoints, stage);
            throw;
        }
    }

    private static void Save(IStageCheckpoints checkpoints, Func<SavedStage> stage)
    {
        using var scope = NewDisposeScope();
        checkpoints.Save(stage());
    }
}
