using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Arithmetic on tensors and numbers, and sums of tensors, whose second term has the scalar factor 1, with scalars that are kept alive.
/// For each number, TorchSharp's operators create a <see cref="Scalar"/> that nothing references while libtorch reads it; if the garbage
/// collector frees it at that moment, the process crashes or computes with garbage. The results are bit-identical to those of the
/// operators.
/// </summary>
internal static class HeldScalar
{
    /// <summary>The number 1, for the lifetime of the process. Always used together with a tensor, so libtorch is loaded by then.</summary>
    public static Scalar One { get; } = 1;

    /// <summary>a + b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>a += b, in place.</summary>
    public static Tensor PlusInPlace(this Tensor a, Tensor b) => a.add_(b, One);

    /// <summary>1 + a.</summary>
    public static Tensor PlusOne(this Tensor a) => a.add(One, One);

    /// <summary>1 − a.</summary>
    public static Tensor OneMinus(this Tensor a) => a.neg().add(One, One);

    /// <summary>a · factor.</summary>
    public static Tensor Times(this Tensor a, double factor)
    {
        using Scalar held = factor;
        return a.mul(held);
    }

    /// <summary>a · factor, in place.</summary>
    public static Tensor TimesInPlace(this Tensor a, double factor)
    {
        using Scalar held = factor;
        return a.mul_(held);
    }

    /// <summary>a / divisor.</summary>
    public static Tensor Over(this Tensor a, double divisor)
    {
        using Scalar held = divisor;
        return a.div(held);
    }

    /// <summary>a / divisor, in place.</summary>
    public static Tensor OverInPlace(this Tensor a, double divisor)
    {
        using Scalar held = divisor;
        return a.div_(held);
    }

    /// <summary>max(a, least).</summary>
    public static Tensor AtLeast(this Tensor a, double least)
    {
        using Scalar held = least;
        return a.clamp_min(held);
    }

    /// <summary>min(a, most).</summary>
    public static Tensor AtMost(this Tensor a, double most)
    {
        using Scalar held = most;
        return a.clamp(max: held);
    }

    /// <summary>max(least, min(a, most)), in place.</summary>
    public static Tensor BoundInPlace(this Tensor a, double least, double most)
    {
        using Scalar low = least,
            high = most;
        return a.clamp_(low, high);
    }
}
