using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The gradient of several parameters as one long vector, kept from growing (Pascanu, Mikolov, Bengio, ICML 2013, arXiv 1211.5063,
/// algorithm 1).</summary>
internal static class GradientNorm
{
    /// <summary>Shortens the gradients in place, all by one factor, where their norm is above the bound. Nothing is read back from the
    /// device, and the sum has a fixed order.</summary>
    /// <param name="parameters">Those without a gradient are passed over.</param>
    /// <param name="bound">Above 0.</param>
    public static void Bound(IEnumerable<Tensor> parameters, double bound)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. parameters.Select(parameter => parameter.grad).OfType<Tensor>()];
        if (gradients.Length == 0)
            return;
        Tensor norm = Norm(gradients); // []
        // A norm of 0 makes this infinite, and the smaller of it and 1 is 1: nothing changes.
        Tensor factor = (bound / norm).clamp(max: 1);
        foreach (Tensor gradient in gradients)
            gradient.mul_(factor.to_type(gradient.dtype));
    }

    /// <summary>[] in double precision, on the gradients' device, in the caller's dispose scope.</summary>
    public static Tensor Norm(IReadOnlyList<Tensor> gradients) =>
        stack(gradients.Select(gradient => gradient.to_type(ScalarType.Float64).square().sum())).sum().sqrt();
}
