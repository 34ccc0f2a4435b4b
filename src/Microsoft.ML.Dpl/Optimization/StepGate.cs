using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>All that a stage needs to go on as if nothing had been in between.</summary>
/// <param name="Course">The stage's course as JSON.</param>
/// <param name="Tensors">Parameters, optimizers and best values by name; not owned by this object.</param>
internal sealed record StageState(string Course, IReadOnlyDictionary<string, Tensor> Tensors);

/// <summary>Where one stage keeps its state.</summary>
internal interface IStageCheckpoints
{
    /// <summary>What the stage goes on from; null: it begins.</summary>
    StageState? Saved { get; }

    /// <summary>Whether it is time for a checkpoint within an epoch.</summary>
    bool IsDue { get; }

    /// <summary>Whether a run that ended is kept too, so that it need not be run again.</summary>
    bool KeepsEnd { get; }

    /// <summary>Keeps a state in place of earlier ones. A failure to write is warned of and does not end the run.</summary>
    void Save(StageState state);
}

/// <summary>What every step of a stage passes before it begins: here states are kept, and here a cancelled run ends.</summary>
internal sealed class StepGate(IRunObserver observer, IStageCheckpoints? checkpoints)
{
    private bool _passed;

    /// <param name="betweenEpochs">Whether the step is the first of an epoch.</param>
    /// <param name="state">Makes the state before the step, in the present dispose scope.</param>
    /// <exception cref="OperationCanceledException">The observer ended the run; the state was kept.</exception>
    public void Pass(bool betweenEpochs, Func<StageState> state)
    {
        bool goesOn = false;
        try
        {
            observer.ThrowIfCancelled();
            goesOn = _passed = true;
        }
        finally
        {
            if (checkpoints is not null && (!goesOn || betweenEpochs || checkpoints.IsDue))
            {
                using var scope = NewDisposeScope();
                checkpoints.Save(state());
            }
        }
    }

    /// <summary>Keeps the state of a run that ended, where ends are kept and it took steps.</summary>
    public void End(Func<StageState> state)
    {
        if (!_passed || checkpoints is not { KeepsEnd: true })
            return;
        using var scope = NewDisposeScope();
        checkpoints.Save(state());
    }

    /// <summary>Work between two steps that the observer may end as well; the state is kept then too.</summary>
    public T During<T>(Func<T> work, Func<StageState> state)
    {
        try
        {
            return work();
        }
        catch (OperationCanceledException) when (checkpoints is not null)
        {
            using var scope = NewDisposeScope();
            checkpoints.Save(state());
            throw;
        }
    }
}
