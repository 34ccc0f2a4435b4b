using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Refuses weights that are not numbers when they are read, since later only the loss would show it.</summary>
internal static class FiniteWeights
{
    /// <param name="location">The file, for the message.</param>
    /// <param name="name">The tensor's name there.</param>
    /// <param name="values">float32 or float64, of any shape.</param>
    /// <exception cref="InvalidDataException">A value is infinite or not a number.</exception>
    public static void Require(string location, string name, Tensor values)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        // What is not finite shows in the sum, which is one pass without another tensor of that size. A sum can also overflow by itself.
        if (double.IsFinite(values.sum().to_type(ScalarType.Float64).item<double>()))
            return;
        long notNumbers = values.isnan().sum().item<long>(),
            infinite = values.isinf().sum().item<long>();
        if (notNumbers + infinite == 0)
            return;
        throw new InvalidDataException(
            $"{location}: tensor '{name}' has {notNumbers} values that are not numbers (NaN) and {infinite} that are infinite, of "
                + $"{values.NumberOfElements}. "
                + "The file is damaged, or its weights overflowed when they were converted to half precision (F16 ends at 65504): get "
                + "it again, or convert it anew from float32 weights."
        );
    }
}
