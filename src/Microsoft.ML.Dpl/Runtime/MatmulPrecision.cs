using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>What the matrix products of a step round to. Sums, norms, softmax, losses and everything that is stepped are float32 in
/// each.</summary>
internal enum MatmulPrecision
{
    /// <summary>Nothing: float32, 24 bits.</summary>
    Float32,

    /// <summary>Factors to 11 bits, by the tensor cores of NVIDIA's GPUs since Ampere; on a CPU the same as
    /// <see cref="Float32"/>.</summary>
    TensorFloat32,

    /// <summary>Factors and results to 8 bits, in half the memory, by tensor cores, or by AMX and AVX512-BF16 on a CPU.</summary>
    BFloat16,
}

/// <summary>
/// libtorch's switch for <see cref="MatmulPrecision.TensorFloat32"/>, which is one for the whole process: on while anybody holds a
/// permission, then as it was.
/// </summary>
internal static class TensorFloat32
{
    private static readonly object Gate = new();
    private static int _holders;
    private static bool _before;

    /// <summary>Lets products on a GPU round to TF32 until the result is disposed.</summary>
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
