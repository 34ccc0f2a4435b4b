using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>How much the prompts of each epoch count in their weighted mean, which then is the result of training.</summary>
internal abstract record EpochWeights
{
    /// <summary>The weight of one epoch before all are divided by their sum, at least 0.</summary>
    /// <param name="epoch">From 1.</param>
    /// <param name="epochs">The number of epochs of a whole run.</param>
    public abstract double At(int epoch, int epochs);

    /// <summary>What people know it by.</summary>
    public abstract string Name { get; }

    /// <summary>Name and numbers, for people.</summary>
    public abstract override string ToString();

    /// <summary>exp(−½ ((k − μ) / σ)²), as PromptSRC aggregates prompts (Khattak, Wasim, Naseer, Khan, Yang, Khan, ICCV 2023, arXiv
    /// 2307.06948).</summary>
    /// <param name="Mean">μ as a share of the epochs, above 0.</param>
    /// <param name="Deviation">σ as a share of the epochs, above 0.</param>
    public sealed record Gaussian(double Mean, double Deviation) : EpochWeights
    {
        public override string Name => "gaussian";

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"gaussian {Mean} {Deviation}");

        public override double At(int epoch, int epochs)
        {
            double distance = (epoch - Mean * epochs) / (Deviation * epochs);
            return Math.Exp(-0.5 * distance * distance);
        }
    }

    /// <summary>decay^(E − k): an exponential moving average.</summary>
    /// <param name="Decay">Above 0 and below 1.</param>
    public sealed record Exponential(double Decay) : EpochWeights
    {
        public override string Name => "exponential";

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"exponential {Decay}");

        public override double At(int epoch, int epochs) => Math.Pow(Decay, epochs - epoch);
    }

    /// <summary>1 for the last part of the epochs, 0 before: stochastic weight averaging (Izmailov, Podoprikhin, Garipov, Vetrov, Wilson,
    /// UAI 2018, arXiv 1803.05407) over what is left of the schedule.</summary>
    /// <param name="Share">That part, above 0, at most 1; it is rounded up to whole epochs.</param>
    public sealed record Last(double Share) : EpochWeights
    {
        public override string Name => "last";

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"last {Share}");

        public override double At(int epoch, int epochs) => epoch > epochs - (int)Math.Ceiling(Share * epochs) ? 1 : 0;
    }
}

/// <summary>The weighted mean of the values that parameters had at the ends of their epochs.</summary>
/// <param name="parameters">Not owned.</param>
/// <param name="weights">Of the epochs.</param>
/// <param name="epochs">The number of epochs of a whole run.</param>
internal sealed class ParameterAverage(IReadOnlyList<Parameter> parameters, EpochWeights weights, int epochs) : IDisposable
{
    private Tensor[] _mean = [];
    private double _sum;

    /// <summary>The mean so far, one for each parameter, owned by this object; empty before the first epoch.</summary>
    public IReadOnlyList<Tensor> Values => _mean;

    /// <summary>Takes in the present values.</summary>
    /// <param name="epoch">The epoch that they stand at the end of, from 0.</param>
    public void Add(int epoch)
    {
        using var noGrad = no_grad();
        double weight = weights.At(epoch + 1, epochs),
            sum = _sum + weight;
        // While nothing counts yet, the latest values stand for the mean.
        double share = sum > 0 ? weight / sum : 1;
        _sum = sum;
        if (_mean.Length == 0)
        {
            _mean = [.. parameters.Select(parameter => parameter.detach().clone().DetachFromDisposeScope())];
            return;
        }
        for (int i = 0; i < _mean.Length; i++)
        {
            using var scope = NewDisposeScope();
            _mean[i].PlusInPlace((parameters[i] - _mean[i]).Times(share));
        }
    }

    /// <summary>Sets the parameters to the mean; does nothing before the first epoch.</summary>
    public void Apply()
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _mean.Length; i++)
            parameters[i].copy_(_mean[i]);
    }

    /// <summary>Does something while the parameters have the mean's values.</summary>
    public T With<T>(Func<T> work)
    {
        using var present = new BestValues(parameters);
        present.Offer(0);
        try
        {
            Apply();
            return work();
        }
        finally
        {
            present.Restore();
        }
    }

    /// <summary>Continues with the mean of an earlier run.</summary>
    /// <param name="taken">The epochs that were taken in, at least 1.</param>
    /// <param name="mean">One for each parameter; copied.</param>
    public void Resume(int taken, IReadOnlyList<Tensor> mean)
    {
        Dispose();
        using var noGrad = no_grad();
        _sum = 0;
        // Added one by one, so that it has the same bits.
        for (int epoch = 1; epoch <= taken; epoch++)
            _sum += weights.At(epoch, epochs);
        _mean = [.. mean.Select((value, i) => value.to(parameters[i].device, copy: true).DetachFromDisposeScope())];
    }

    public void Dispose()
    {
        foreach (Tensor value in _mean)
            value.Dispose();
        _mean = [];
    }
}
