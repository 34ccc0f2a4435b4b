using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>Remembers the parameters' values at the best score seen.</summary>
internal sealed class BestValues(IReadOnlyList<Parameter> parameters) : IDisposable
{
    private Tensor[] _values = [];
    private double? _score;

    /// <summary>Keeps the present values if <paramref name="score"/> is at least the best so far: of equals, the one trained longer.</summary>
    public void Offer(double score)
    {
        if (score < _score) return;
        Dispose();
        using var noGrad = no_grad();
        _score = score;
        _values = [.. parameters.Select(p => p.clone().DetachFromDisposeScope())];
    }

    /// <summary>Puts the best values back; does nothing where none was offered.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _values.Length; i++) parameters[i].copy_(_values[i]);
    }

    public void Dispose()
    {
        foreach (Tensor value in _values) value.Dispose();
        _values = [];
    }
}
