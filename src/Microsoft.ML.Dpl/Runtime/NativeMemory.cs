using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Float tensors in memory that libtorch allocates, which begins on a multiple of <see cref="Alignment"/> bytes. <c>torch.tensor</c> pins
/// the array that it is given and uses it where the garbage collector put it; on some processors MKL adds the same numbers in another order
/// at another alignment, so that equal input would not give equal bits.
/// </summary>
internal static class NativeTensor
{
    /// <summary>Bytes: what libtorch's CPU allocator aligns to.</summary>
    public const int Alignment = 64;

    /// <summary>A copy of the values.</summary>
    /// <param name="values">The values, row by row.</param>
    /// <param name="shape">Sizes whose product is the number of values; empty for a vector of all of them.</param>
    /// <param name="device">The device of the tensor; null: the CPU.</param>
    /// <exception cref="ArgumentException">The shape does not hold so many values.</exception>
    public static Tensor From(ReadOnlySpan<float> values, ReadOnlySpan<long> shape = default, Device? device = null)
    {
        long[] sizes = shape.IsEmpty ? [values.Length] : shape.ToArray();
        long held = sizes.Aggregate(1L, (product, size) => checked(product * size));
        if (held != values.Length)
            throw new ArgumentException($"A tensor of [{string.Join(", ", sizes)}] does not hold {values.Length} values.", nameof(shape));
        Tensor copy = empty(sizes, ScalarType.Float32, CPU);
        if (held > 0)
            MemoryMarshal.AsBytes(values).CopyTo(copy.bytes);
        if (device is null || device.type == DeviceType.CPU)
            return copy;
        using (copy)
            return copy.to(device);
    }

    /// <inheritdoc cref="From(ReadOnlySpan{float}, ReadOnlySpan{long}, Device?)"/>
    public static Tensor From(float[,] values) => From(Flat(values), [values.GetLength(0), values.GetLength(1)]);

    /// <inheritdoc cref="From(ReadOnlySpan{float}, ReadOnlySpan{long}, Device?)"/>
    public static Tensor From(float[,,] values) => From(Flat(values), [values.GetLength(0), values.GetLength(1), values.GetLength(2)]);

    private static ReadOnlySpan<float> Flat(Array values) =>
        MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<byte, float>(ref MemoryMarshal.GetArrayDataReference(values)), values.Length);
}

/// <summary>
/// Keeps glibc's allocator from handing the large temporaries of every operation back to the system and taking them again, page by page:
/// mallopt(3). Does nothing on other systems and C libraries; calling it again changes nothing.
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
