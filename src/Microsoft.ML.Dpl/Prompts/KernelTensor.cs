using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>Tensors as our own kernels see them: pointers, behind which nothing would notice a wrong shape.</summary>
internal static unsafe class KernelTensor
{
    private const long MostInSpan = int.MaxValue / sizeof(float);

    /// <exception cref="ArgumentException">Not contiguous float32 of that shape on the CPU.</exception>
    public static void Require(Tensor values, params ReadOnlySpan<long> shape)
    {
        if (!values.shape.AsSpan().SequenceEqual(shape)) throw new ArgumentException($"A tensor of [{string.Join(", ", values.shape)}] stands where the layout has [{string.Join(", ", shape.ToArray())}].");
        if (values.dtype != ScalarType.Float32 || values.device_type != DeviceType.CPU || !values.is_contiguous()) throw new ArgumentException($"A tensor is {values.dtype} on {values.device}{(values.is_contiguous() ? "" : ", not contiguous")}: kernels on the CPU take contiguous float32.");
    }

    /// <summary>Where a contiguous tensor's values begin; null for null.</summary>
    /// <param name="values">On the CPU.</param>
    /// <param name="mostInSpan">Values that one span can hold.</param>
    public static float* Pointer(Tensor? values, long mostInSpan = MostInSpan)
    {
        if (values is null) return null;
        if (values.NumberOfElements <= mostInSpan) return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(values.bytes));
        // A span ends at 2 GiB, the scores of a thousand long texts need not.
        using Tensor first = values.view(-1).narrow(0, 0, 1);
        return (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
