using Microsoft.ML.Dpl.MLNet;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>A <see cref="UseGate"/> for work on tensors.</summary>
/// <param name="model">The transformer's full name, for the exception.</param>
internal sealed class TensorGate(string model)
{
    private readonly UseGate _gate = new(model);

    /// <summary>Runs work on the transformer's tensors in a dispose scope of its own; disposal waits for it.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) =>
        _gate.Use(() =>
        {
            // Otherwise a caller in inference mode would get tensors that autograd cannot use.
            using var ordinary = inference_mode(false);
            using var scope = NewDisposeScope();
            return work();
        });

    /// <inheritdoc cref="UseGate.Dispose"/>
    public void Dispose(Action free) => _gate.Dispose(free);
}
