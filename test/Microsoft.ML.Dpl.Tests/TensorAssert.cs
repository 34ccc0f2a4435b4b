using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Assertions on tensors.</summary>
internal static class TensorAssert
{
    /// <summary>Requires the same type, shape and bytes.</summary>
    public static void BitEqual(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        using Tensor left = expected.cpu().contiguous(),
            right = actual.cpu().contiguous();
        Assert.True(left.bytes.SequenceEqual(right.bytes), "the tensors' bytes differ");
    }
}
