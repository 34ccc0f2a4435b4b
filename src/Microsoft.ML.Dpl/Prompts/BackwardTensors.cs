using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>
/// Owns what custom backward functions hand to autograd. TorchSharp keeps those tensors alive until somebody disposes them,
/// and on CUDA they are made on autograd's own thread, beyond the reach of the step's dispose scope. One per step, disposed after <c>backward</c>.
/// </summary>
internal sealed class BackwardTensors : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    public void Keep(Tensor? tensor)
    {
        if (tensor is null) return;
        Keep((IDisposable)tensor.DetachFromDisposeScope());
    }

    /// <summary>Anything else that must live until the backward pass is over.</summary>
    public void Keep(IDisposable resource)
    {
        lock (_owned) _owned.Add(resource);
    }

    public void Dispose()
    {
        lock (_owned)
        {
            foreach (IDisposable resource in _owned) resource.Dispose();
            _owned.Clear();
        }
    }
}
