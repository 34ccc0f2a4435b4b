using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>
/// Owns what custom backward functions hand to autograd. TorchSharp keeps those tensors alive until somebody disposes them,
/// and on CUDA they are made on autograd's own thread, beyond the reach of the step's dispose scope. One per step, disposed after <c>backward</c>.
/// </summary>
internal sealed class BackwardTensors : IDisposable
{
    private readonly List<Tensor> _tensors = [];

    public void Keep(Tensor? tensor)
    {
        if (tensor is null) return;
        lock (_tensors) _tensors.Add(tensor.DetachFromDisposeScope());
    }

    public void Dispose()
    {
        lock (_tensors)
        {
            foreach (Tensor tensor in _tensors) tensor.Dispose();
            _tensors.Clear();
        }
    }
}
