using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Keeps glibc's allocator from handing the large temporaries of every operation back to the system and taking them anew, page by page:
/// mallopt(3). Does nothing on other systems and C libraries, and nothing twice.
/// </summary>
internal static class NativeAllocator
{
    private const int TrimThreshold = -1,
        TopPadding = -2,
        MmapThreshold = -3; // M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
    private const int Most = int.MaxValue,
        LargestOnceAllowed = 32 << 20;

    /// <summary>More than two of the 64 MiB heaps that threads other than the first allocate in: heaps that become free are kept only
    /// then.</summary>
    private const int Padding = 192 << 20;

    private static readonly Lazy<bool> Kept = new(Keep);

    /// <summary>Blocks that are freed stay with the process from now on, until <see cref="ReturnFreeMemory"/>.</summary>
    /// <returns>Whether that could be arranged.</returns>
    public static bool KeepFreedMemory() => Kept.Value;

    /// <summary>For the time of a fit: freed memory may stay with the process while it runs and goes back when the result is
    /// disposed.</summary>
    /// <param name="keep">Whether it stays; otherwise only what an earlier fit kept goes back.</param>
    public static IDisposable ForFit(bool keep)
    {
        if (keep)
            KeepFreedMemory();
        return new FreeMemory();
    }

    /// <summary>Hands free memory back to the system, where <see cref="KeepFreedMemory"/> kept it.</summary>
    public static void ReturnFreeMemory()
    {
        if (Kept is { IsValueCreated: true, Value: true })
            _ = Trim(0);
    }

    private static bool Keep()
    {
        if (!OperatingSystem.IsLinux())
            return false;
        try
        {
            // Older versions take no more than half of a thread's heap.
            return (Set(MmapThreshold, Most) != 0 || Set(MmapThreshold, LargestOnceAllowed) != 0)
                && Set(TrimThreshold, Most) != 0
                && Set(TopPadding, Padding) != 0;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false; // another C library, for instance musl
        }
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    private static extern int Set(int parameter, int value);

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int Trim(nuint padding);

    private sealed class FreeMemory : IDisposable
    {
        public void Dispose() => ReturnFreeMemory();
    }
}
