using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>libtorch in this process: loading it, and how many threads it takes.</summary>
public static class LibTorchRuntime
{
    /// <summary>Loads libtorch unless that has been done; a fit and the loading of a model do it by themselves.</summary>
    /// <returns>One sentence: what was loaded, and from where.</returns>
    /// <exception cref="DllNotFoundException">No libtorch was found, or one of another version; the message says what to do.</exception>
    public static string Load() => LibTorch.EnsureLoaded();

    /// <summary>Threads that fits and predictions on the CPU take, at least 1, for the whole process. Set it before the first of them
    /// begins; a fit's bits depend on it.</summary>
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

    /// <summary>Whether a GPU can be used: libtorch has CUDA, and there is a card with a driver.</summary>
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
