using Microsoft.ML.Dpl.MLNet;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>A <see cref="UseGate"/> in front of tensors.</summary>
/// <param name="model">The transformer's full name, for the exception.</param>
internal sealed class TensorGate(string model)
{
    private readonly UseGate _gate = new(model);

    /// <summary>Does something with the transformer's tensors, which a dispose waits for; in a dispose scope of its own.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) =>
        _gate.Use(() =>
        {
            // A caller in inference mode would get tensors that no gradient passes.
            using var ordinary = inference_mode(false);
            using var scope = NewDisposeScope();
            return work();
        });

    /// <inheritdoc cref="UseGate.Dispose"/>
    public void Dispose(Action free) => _gate.Dispose(free);
}
