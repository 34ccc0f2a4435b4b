using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Owns what custom backward functions hand to autograd. TorchSharp keeps those tensors alive until somebody disposes them,
/// and on CUDA they are made on autograd's own thread, beyond the reach of the step's dispose scope. One per step, disposed after
/// <c>backward</c>.
/// </summary>
internal sealed class BackwardTensors : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private Exception? _failure;

    /// <summary>
    /// Runs a custom backward. An exception must not leave it, since libtorch's frames lie between it and whoever catches: it is kept for
    /// <see cref="ThrowFailure"/>, and autograd is given no gradients.
    /// </summary>
    /// <param name="count">Gradients that autograd expects.</param>
    /// <param name="backward">Gives them.</param>
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

    /// <summary>Throws what a custom backward failed with; to be called when the backward pass is over.</summary>
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

    /// <summary>Anything else that must live until the backward pass is over.</summary>
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
