using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>Gives the C# kernels raw pointers to tensors, after checking type, device and shape.</summary>
internal static unsafe class KernelTensor
{
    private const long MostInSpan = int.MaxValue / sizeof(float);

    /// <exception cref="ArgumentException">The tensor is not contiguous float32 of that shape on the CPU.</exception>
    public static void Require(Tensor values, params ReadOnlySpan<long> shape)
    {
        if (!values.shape.AsSpan().SequenceEqual(shape))
            throw new ArgumentException(
                $"A tensor of [{string.Join(", ", values.shape)}] stands where the layout has [{string.Join(", ", shape.ToArray())}]."
            );
        if (values.dtype != ScalarType.Float32 || values.device_type != DeviceType.CPU || !values.is_contiguous())
            throw new ArgumentException(
                $"A tensor is {values.dtype} on {values.device}{(values.is_contiguous() ? "" : ", not contiguous")}: kernels on the "
                    + "CPU take contiguous float32."
            );
    }

    /// <summary>Pointer to the first value of a contiguous tensor; null for null.</summary>
    /// <param name="values">A tensor on the CPU.</param>
    /// <param name="mostInSpan">Largest number of values that a span can hold.</param>
    public static float* Pointer(Tensor? values, long mostInSpan = MostInSpan)
    {
        if (values is null)
            return null;
        float* start;
        if (values.NumberOfElements <= mostInSpan)
        {
            start = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(values.bytes));
        }
        else
        {
            // A span holds at most 2 GiB; the scores of a thousand long texts can be larger.
            using Tensor first = values.view(-1).narrow(0, 0, 1);
            start = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        }
        CheckAlignment(values, start);
        return start;
    }

    /// <summary>Checks the alignment of the storage rather than of the view, since a view may begin anywhere in its storage.</summary>
    [Conditional("DEBUG")]
    private static void CheckAlignment(Tensor values, float* start) =>
        Debug.Assert(
            (nuint)(start - values.storage_offset()) % NativeTensor.Alignment == 0,
            $"A tensor's storage is not aligned to {NativeTensor.Alignment} bytes; see {nameof(NativeTensor)}."
        );
}
