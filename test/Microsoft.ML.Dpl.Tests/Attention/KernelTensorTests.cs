using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Attention;

public class KernelTensorTests
{
    [Fact]
    public unsafe void A_tensor_too_long_for_a_span_begins_where_it_begins()
    {
        LibTorch.EnsureLoaded();
        using Tensor values = zeros(3, 4);
        Assert.True(KernelTensor.Pointer(values) == KernelTensor.Pointer(values, mostInSpan: 5));
        Assert.True(KernelTensor.Pointer(null) == null);
    }
}
