using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Sets libtorch's process-wide switch for <see cref="ComputePrecision.TensorFloat32"/>: on while at least one permission is held, then
/// back to its previous value.
/// </summary>
internal static class TensorFloat32
{
    private static readonly object Gate = new();
    private static int _holders;
    private static bool _before;

    /// <summary>Allows matrix products on a GPU to round to TF32 until the result is disposed.</summary>
    public static IDisposable Allow()
    {
        lock (Gate)
        {
            if (_holders == 0)
            {
                _before = backends.cuda.matmul.allow_tf32;
                backends.cuda.matmul.allow_tf32 = true;
            }
            _holders++;
        }
        return new Permission();
    }

    private sealed class Permission : IDisposable
    {
        private int _over;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _over, 1) == 1)
                return;
            lock (Gate)
            {
                if (--_holders == 0)
                    backends.cuda.matmul.allow_tf32 = _before;
            }
        }
    }
}

/// <summary>Instruction sets of the processor.</summary>
internal static class ProcessorFeatures
{
    // Intel's manual, CPUID: leaf 7, sub-leaf 0, EDX bit 22 (AMX-BF16) and sub-leaf 1, EAX bit 5 (AVX512_BF16).
    private const int FeatureLeaf = 7,
        AmxBFloat16Bit = 22,
        Avx512BFloat16Bit = 5;

    /// <summary>
    /// Whether it multiplies bfloat16 faster than float32, by AMX-BF16 or AVX512-BF16; null: not known, as on ARM.
    /// </summary>
    public static bool? HasBFloat16Products { get; } = Find();

    private static bool? Find()
    {
        if (!X86Base.IsSupported)
            return null;
        if (X86Base.CpuId(0, 0).Eax < FeatureLeaf)
            return false;
        return IsSet(X86Base.CpuId(FeatureLeaf, 0).Edx, AmxBFloat16Bit) || IsSet(X86Base.CpuId(FeatureLeaf, 1).Eax, Avx512BFloat16Bit);
    }

    private static bool IsSet(int register, int bit) => (register >> bit & 1) != 0;
}
