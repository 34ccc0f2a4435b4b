using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>libtorch in this process: loading it, its number of threads, and whether it has CUDA.</summary>
public static class LibTorchRuntime
{
    /// <summary>Loads libtorch unless it is already loaded; fitting and loading a model do so automatically.</summary>
    /// <returns>One sentence: what was loaded, and from where.</returns>
    /// <exception cref="DllNotFoundException">libtorch was not found or has the wrong version; the message says what to do.</exception>
    public static string Load() => LibTorch.EnsureLoaded();

    /// <summary>
    /// Number of threads that fits and predictions on the CPU use, at least 1, for the whole process. Set it before the first of them
    /// begins; the bits of a fit depend on it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    /// <exception cref="DllNotFoundException">libtorch cannot be loaded.</exception>
    public static int Threads
    {
        get
        {
            LibTorch.EnsureLoaded();
            return get_num_threads();
        }
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            LibTorch.EnsureLoaded();
            set_num_threads(value);
        }
    }

    /// <summary>Whether a GPU can be used: libtorch has CUDA, and there is a GPU with a driver.</summary>
    /// <exception cref="DllNotFoundException">libtorch cannot be loaded.</exception>
    public static bool HasCuda
    {
        get
        {
            LibTorch.EnsureLoaded();
            return cuda.is_available();
        }
    }
}
