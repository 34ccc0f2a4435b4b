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

/// <summary>
/// Remembers the parameters' values at the end of the latest epoch that a finite loss was computed with, so that a run whose numbers go
/// wrong has something to fall back on. One copy an epoch, and nothing is read back from the device.
/// </summary>
internal sealed class GoodValues(IReadOnlyList<Parameter> parameters) : IDisposable
{
    private Tensor[] _values = [],
        _candidates = [];
    private int _candidateEpochs;

    /// <summary>Epochs after which the remembered values stood; 0: there are none.</summary>
    public int Epochs { get; private set; }

    /// <summary>The values remembered; empty where there are none. They stay this object's.</summary>
    public IReadOnlyList<Tensor> Values => _values;

    /// <summary>Takes the present values into consideration: those that so many epochs ended with, before the next step. Initial values are
    /// no result and are passed over.</summary>
    public void Consider(int epochs)
    {
        if (epochs == 0)
            return;
        using var noGrad = no_grad();
        Free(ref _candidates);
        (_candidates, _candidateEpochs) = ([.. parameters.Select(p => p.clone().DetachFromDisposeScope())], epochs);
    }

    /// <summary>The loss and the gradients of the values considered were finite.</summary>
    public void Confirm()
    {
        if (_candidates.Length == 0)
            return;
        Free(ref _values);
        (_values, _candidates, Epochs) = (_candidates, [], _candidateEpochs);
    }

    /// <summary>Puts the remembered values back; does nothing where there are none.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _values.Length; i++)
            parameters[i].copy_(_values[i]);
    }

    /// <summary>Remembers values of an earlier run.</summary>
    /// <param name="epochs">After which they stood, at least 1.</param>
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
