using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Remembers the values that the parameters had at the best score so far.</summary>
internal sealed class BestValues(IReadOnlyList<Parameter> parameters) : IDisposable
{
    private Tensor[] _values = [];
    private double? _score;

    /// <summary>
    /// Remembers the current values if <paramref name="score"/> is at least the best so far; of equal scores, the latest counts.
    /// </summary>
    public void Offer(double score) => Offer(score, parameters);

    /// <summary>Remembers other values under the same condition.</summary>
    /// <param name="score">The score of these values.</param>
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

    /// <summary>Restores the best values; does nothing if none were offered.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _values.Length; i++)
            parameters[i].copy_(_values[i]);
    }

    /// <summary>The remembered values; empty if no score was offered. Owned by this object.</summary>
    public IReadOnlyList<Tensor> Values => _values;

    /// <summary>Remembers values and their score from an earlier run.</summary>
    /// <param name="score">The best score so far.</param>
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

/// <summary>
/// Remembers the parameters' values at the end of the latest epoch after which a loss and its gradients were finite, for a run that
/// diverges to fall back on. Takes one copy per epoch; nothing is read back from the device.
/// </summary>
internal sealed class GoodValues(IReadOnlyList<Parameter> parameters) : IDisposable
{
    private Tensor[] _values = [],
        _candidates = [];
    private int _candidateEpochs;

    /// <summary>Number of epochs after which the remembered values were reached; 0: there are none.</summary>
    public int Epochs { get; private set; }

    /// <summary>The remembered values; empty if there are none. Owned by this object.</summary>
    public IReadOnlyList<Tensor> Values => _values;

    /// <summary>
    /// Copies the current values, reached after this many epochs, as candidates before the next step. Initial values are not a result and
    /// are ignored.
    /// </summary>
    public void Consider(int epochs)
    {
        if (epochs == 0)
            return;
        using var noGrad = no_grad();
        Free(ref _candidates);
        (_candidates, _candidateEpochs) = ([.. parameters.Select(p => p.clone().DetachFromDisposeScope())], epochs);
    }

    /// <summary>Remembers the candidates, because their loss and gradients were finite.</summary>
    public void Confirm()
    {
        if (_candidates.Length == 0)
            return;
        Free(ref _values);
        (_values, _candidates, Epochs) = (_candidates, [], _candidateEpochs);
    }

    /// <summary>Restores the remembered values; does nothing if there are none.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _values.Length; i++)
            parameters[i].copy_(_values[i]);
    }

    /// <summary>Remembers values of an earlier run.</summary>
    /// <param name="epochs">Number of epochs after which they were reached, at least 1.</param>
    /// <param name="values">One per parameter; copied.</param>
    public void Resume(int epochs, IReadOnlyList<Tensor> values)
    {
        using var noGrad = no_grad();
        Free(ref _values);
        (Epochs, _values) = (epochs, [.. values.Select((value, i) => value.to(parameters[i].device, copy: true).DetachFromDisposeScope())]);
    }

    public void Dispose()
    {
        Free(ref _values);
        Free(ref _candidates);
    }

    private static void Free(ref Tensor[] values)
    {
        foreach (Tensor value in values)
            value.Dispose();
        values = [];
    }
}
