using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The weights of the epochs in the average of their prompts, which is the result of training.</summary>
internal abstract record EpochWeights
{
    /// <summary>The unnormalised weight of an epoch, at least 0.</summary>
    /// <param name="epoch">The epoch, from 1.</param>
    /// <param name="epochs">Number of epochs of a complete run.</param>
    public abstract double At(int epoch, int epochs);

    /// <summary>The name shown to users.</summary>
    public abstract string Name { get; }

    /// <summary>Returns the name and the numbers as readable text.</summary>
    public abstract override string ToString();

    /// <summary>
    /// exp(−½ ((k − μ) / σ)²) for epoch k, the aggregation of prompts in PromptSRC (Khattak, Wasim, Naseer, Khan, Yang, Khan, ICCV 2023,
    /// arXiv 2307.06948).
    /// </summary>
    /// <param name="Mean">μ as a fraction of the epochs, above 0.</param>
    /// <param name="Deviation">σ as a fraction of the epochs, above 0.</param>
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

    /// <summary>decay^(E − k) for epoch k of E: an exponential moving average.</summary>
    /// <param name="Decay">Above 0 and below 1.</param>
    public sealed record Exponential(double Decay) : EpochWeights
    {
        public override string Name => "exponential";

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"exponential {Decay}");

        public override double At(int epoch, int epochs) => Math.Pow(Decay, epochs - epoch);
    }

    /// <summary>
    /// 1 for the last part of the epochs, 0 before: stochastic weight averaging (Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, UAI 2018,
    /// arXiv 1803.05407) over the rest of the learning-rate schedule.
    /// </summary>
    /// <param name="Share">That part as a fraction of the epochs, above 0 and at most 1; rounded up to whole epochs.</param>
    public sealed record Last(double Share) : EpochWeights
    {
        private const double Rounding = 1e-9;

        public override string Name => "last";

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"last {Share}");

        // 0.07 · 100 is a little more than 7 in floating point.
        public override double At(int epoch, int epochs) => epoch > epochs - (int)Math.Ceiling(Share * epochs - Rounding) ? 1 : 0;
    }
}

/// <summary>The weighted mean of the values that parameters had at the ends of the epochs.</summary>
/// <param name="parameters">The parameters; not owned.</param>
/// <param name="weights">The weights of the epochs.</param>
/// <param name="epochs">Number of epochs of a complete run.</param>
internal sealed class ParameterAverage(IReadOnlyList<Parameter> parameters, EpochWeights weights, int epochs) : IDisposable
{
    private Tensor[] _mean = [];
    private double _sum;

    /// <summary>The mean so far, one tensor per parameter, owned by this object; empty before the first epoch.</summary>
    public IReadOnlyList<Tensor> Values => _mean;

    /// <summary>Adds the current values to the mean.</summary>
    /// <param name="epoch">The epoch that has just ended, from 0.</param>
    public void Add(int epoch)
    {
        using var noGrad = no_grad();
        double weight = weights.At(epoch + 1, epochs),
            sum = _sum + weight;
        // As long as all weights are 0, the latest values take the place of the mean.
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

    /// <summary>Runs work while the parameters have the values of the mean.</summary>
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

    /// <summary>Continues from the mean of an earlier run.</summary>
    /// <param name="taken">Number of epochs in the mean, at least 1.</param>
    /// <param name="mean">One tensor per parameter; copied.</param>
    public void Resume(int taken, IReadOnlyList<Tensor> mean)
    {
        Dispose();
        using var noGrad = no_grad();
        _sum = 0;
        // Summed one by one, so that the result is bit-identical.
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
