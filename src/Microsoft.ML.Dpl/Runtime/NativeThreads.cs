using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// How many threads one operation of libtorch takes, set for the calling thread alone; <c>torch.set_num_threads</c> sets it for the whole
/// process. Only where libtorch exports its OpenMP and MKL (Linux x64).
/// </summary>
internal static class NativeThreads
{
    private static readonly Lazy<(SetThreads OpenMP, SetThreads Mkl)?> Setters = new(Find);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int SetThreads(int count);

    /// <summary>Whether <see cref="LimitCallingThread"/> does anything here.</summary>
    public static bool CanLimit => Setters.Value is not null;

    /// <summary>From now on operations called on this thread use at most <paramref name="count"/> threads, until the result is disposed on
    /// it.</summary>
    public static IDisposable LimitCallingThread(int count)
    {
        int before = get_num_threads(); // libtorch sets a new thread's number when it first asks for it: before this, not after
        if (Setters.Value is not var (openMP, mkl))
            return new Restoration(() => { });
        int mklBefore = mkl(count);
        openMP(count);
        return new Restoration(() =>
        {
            mkl(mklBefore);
            openMP(before);
        });
    }

    private static (SetThreads OpenMP, SetThreads Mkl)? Find()
    {
        if (LibTorch.CpuLibrary is not { } library)
            return null;
        // Symbols of its dependencies are found through a library too: OpenMP's own lies beside it.
        if (
            !NativeLibrary.TryGetExport(library, "omp_set_num_threads", out nint openMP)
            || !NativeLibrary.TryGetExport(library, "MKL_Set_Num_Threads_Local", out nint mkl)
        )
            return null;
        return (Marshal.GetDelegateForFunctionPointer<SetThreads>(openMP), Marshal.GetDelegateForFunctionPointer<SetThreads>(mkl));
    }

    private sealed class Restoration(Action restore) : IDisposable
    {
        public void Dispose() => restore();
    }
}
