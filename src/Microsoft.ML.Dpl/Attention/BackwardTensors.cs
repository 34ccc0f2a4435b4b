using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Owns the tensors that custom backward functions hand to autograd. TorchSharp keeps them alive until they are disposed, and on CUDA
/// they are created on autograd's own thread, out of reach of the step's dispose scope. One instance per step, disposed after
/// <c>backward</c>.
/// </summary>
internal sealed class BackwardTensors : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private Exception? _failure;

    /// <summary>
    /// Runs a custom backward function. An exception must not propagate through libtorch's native frames, so it is kept for
    /// <see cref="ThrowFailure"/>, and autograd gets no gradients.
    /// </summary>
    /// <param name="count">Number of gradients that autograd expects.</param>
    /// <param name="backward">Computes the gradients.</param>
    public List<Tensor> Guard(int count, Func<List<Tensor>> backward)
    {
        try
        {
            if (_failure is null)
                return backward();
        }
        catch (Exception e)
        {
            lock (_owned)
                _failure ??= e;
        }
        return [.. Enumerable.Repeat<Tensor>(null!, count)];
    }

    /// <summary>Rethrows the first exception of a custom backward function; to be called after the backward pass.</summary>
    public void ThrowFailure()
    {
        if (_failure is not null)
            ExceptionDispatchInfo.Throw(_failure);
    }

    public void Keep(Tensor? tensor)
    {
        if (tensor is null)
            return;
        Keep((IDisposable)tensor.DetachFromDisposeScope());
    }

    /// <summary>Keeps another resource alive until the backward pass is over.</summary>
    public void Keep(IDisposable resource)
    {
        lock (_owned)
            _owned.Add(resource);
    }

    public void Dispose()
    {
        lock (_owned)
        {
            foreach (IDisposable resource in _owned)
                resource.Dispose();
            _owned.Clear();
        }
    }
}
