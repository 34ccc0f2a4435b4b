using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Compares tensors by their largest difference relative to the largest expected magnitude.</summary>
internal static class Close
{
    public static void Relative(Tensor expected, Tensor? actual, double tolerance, string what)
    {
        Assert.True(actual is not null, $"{what}: no value");
        Assert.True(
            expected.shape.SequenceEqual(actual!.shape),
            $"{what}: shape [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]"
        );
        double scale = Math.Max(expected.abs().max().item<float>(), 1e-12f);
        double error = (expected - actual).abs().max().item<float>() / scale;
        Assert.True(error <= tolerance, $"{what}: relative error {error:g3} > {tolerance:g3}"); // also fails for NaN
    }
}
