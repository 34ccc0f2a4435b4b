using Microsoft.ML.Dpl.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Optimization;

/// <summary>Keeps the latest checkpoint of a stage in memory.</summary>
internal sealed class KeptStage : IStageCheckpoints, IDisposable
{
    public SavedStage? Saved { get; private set; }

    public bool IsDue => false;

    public bool KeepsEnd => false;

    public void Save(SavedStage state)
    {
        Dispose();
        Saved = state with
        {
            Tensors = state.Tensors.ToDictionary(pair => pair.Key, pair => pair.Value.detach().clone().DetachFromDisposeScope()),
        };
    }

    public void Dispose()
    {
        foreach (Tensor value in Saved?.Tensors.Values ?? [])
            value.Dispose();
    }
}
