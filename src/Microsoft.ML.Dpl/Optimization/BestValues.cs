using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Remembers the parameters' values at the best score seen.</summary>
internal sealed class BestValues(IReadOnlyList<Parameter> parameters) : IDisposable
{
    private Tensor[] _values = [];
    private double? _score;

    /// <summary>Keeps the present values if <paramref name="score"/> is at least the best so far: of equals, the one trained
    /// longer.</summary>
    public void Offer(double score) => Offer(score, parameters);

    /// <summary>Keeps other values by the same rule.</summary>
    /// <param name="score">Of these values.</param>
    /// <param name="values">One per parameter; copied.</param>
    public void Offer(double score, IReadOnlyList<Tensor> values)
    {
        if (score < _score)
            return;
        Dispose();
        using var noGrad = no_grad();
        _score = score;
        _values = [.. values.Select(value => value.clone().DetachFromDisposeScope())];
    }

    /// <summary>Puts the best values back; does nothing where none was offered.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _values.Length; i++)
            parameters[i].copy_(_values[i]);
    }

    /// <summary>The values remembered; empty where no score was offered. They stay this object's.</summary>
    public IReadOnlyList<Tensor> Values => _values;

    /// <summary>Remembers values that an earlier run had at a score.</summary>
    /// <param name="score">The best score that was seen.</param>
    /// <param name="values">One per parameter; copied.</param>
    public void Resume(double score, IReadOnlyList<Tensor> values)
    {
        Dispose();
        using var noGrad = no_grad();
        (_score, _values) = (score, [.. values.Select((value, i) => value.to(parameters[i].device, copy: true).DetachFromDisposeScope())]);
    }

    public void Dispose()
    {
        foreach (Tensor value in _values)
            value.Dispose();
        _values = [];
    }
}
