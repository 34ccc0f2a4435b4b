using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// What the logits are divided by, learned beside the prompts (Guo et al., ICML 2017, arXiv 1706.04599, where it is fitted after training).
/// Kept as a logarithm, as CLIP keeps its logit scale, so that it stays above 0. Owns its parameter.
/// </summary>
internal sealed class Temperature : IDisposable
{
    // A higher start takes most of a training to come down again (docs/EVIDENCE.md).
    private const int HighestPower = 6;

    /// <param name="value">Where it starts, above 0.</param>
    /// <param name="device">The device of the logits.</param>
    public Temperature(double value, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Logarithm = PromptedBranches.Learned(tensor((float)Math.Log(value), device: device));
    }

    /// <summary>[] the natural logarithm of the temperature.</summary>
    public Parameter Logarithm { get; }

    /// <summary>The present value, above 0; read from the device.</summary>
    public double Value => Math.Exp(Logarithm.item<float>());

    /// <summary>Sets the value, above 0.</summary>
    public void Set(double value)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Scalar held = (float)Math.Log(value);
        Logarithm.fill_(held);
    }

    /// <summary>Logits divided by the temperature, differentiable in both; in the caller's dispose scope.</summary>
    public Tensor Cool(Tensor logits)
    {
        using var scope = NewDisposeScope();
        return (logits * Logarithm.neg().exp()).MoveToOuterDisposeScope();
    }

    /// <summary>Where a temperature starts: the power of √2 from 1 to 8 with the lowest loss.</summary>
    /// <param name="loss">The loss at a temperature.</param>
    public static double LowestOf(Func<double, double> loss) =>
        Enumerable.Range(0, HighestPower + 1).Select(power => Math.Pow(2, power / 2.0)).MinBy(loss);

    public void Dispose() => Logarithm.Dispose();
}
