using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// A softmax temperature that divides the logits and is learned together with the prompts (Guo et al., ICML 2017, arXiv 1706.04599, where
/// it is fitted after training). Stored as a logarithm, like CLIP's logit scale, so that it stays above 0. Owns its parameter.
/// </summary>
internal sealed class Temperature : IDisposable
{
    // From a higher initial value, most of the training would be spent on coming down again (docs/EVIDENCE.md).
    private const int HighestPower = 6;

    /// <param name="value">Initial value, above 0.</param>
    /// <param name="device">The device of the logits.</param>
    public Temperature(double value, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Logarithm = PromptedBranches.Learned(tensor((float)Math.Log(value), device: device));
    }

    /// <summary>[] the natural logarithm of the temperature.</summary>
    public Parameter Logarithm { get; }

    /// <summary>The current value, above 0; read from the device.</summary>
    public double Value => Math.Exp(Logarithm.item<float>());

    /// <summary>Sets the value, above 0.</summary>
    public void Set(double value)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Scalar held = (float)Math.Log(value);
        Logarithm.fill_(held);
    }

    /// <summary>Logits divided by the temperature, differentiable with respect to both; in the caller's dispose scope.</summary>
    public Tensor Cool(Tensor logits)
    {
        using var scope = NewDisposeScope();
        return (logits * Logarithm.neg().exp()).MoveToOuterDisposeScope();
    }

    /// <summary>Picks an initial temperature: the power of √2 from 1 to 8 with the lowest loss.</summary>
    /// <param name="loss">Computes the loss at a temperature.</param>
    public static double LowestOf(Func<double, double> loss) =>
        Enumerable.Range(0, HighestPower + 1).Select(power => Math.Pow(2, power / 2.0)).MinBy(loss);

    public void Dispose() => Logarithm.Dispose();
}
