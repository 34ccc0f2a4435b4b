using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Creates float tensors in memory that libtorch allocates, aligned to <see cref="Alignment"/> bytes. <c>torch.tensor</c> instead pins the
/// array it is given, wherever the garbage collector put it, and on some processors MKL's order of summation depends on the alignment, so
/// that equal input would not give equal bits.
/// </summary>
internal static class NativeTensor
{
    /// <summary>Alignment of libtorch's CPU allocator in bytes.</summary>
    public const int Alignment = 64;

    /// <summary>Copies values to a tensor.</summary>
    /// <param name="values">The values in row-major order.</param>
    /// <param name="shape">Sizes whose product is the number of values; empty: a vector of all values.</param>
    /// <param name="device">The device of the tensor; null: the CPU.</param>
    /// <exception cref="ArgumentException">The shape does not match the number of values.</exception>
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
/// Stops glibc's allocator from returning the large temporaries of every operation to the system and requesting them again page by page:
/// mallopt(3). Does nothing on other systems and C libraries; repeated calls have no further effect.
/// </summary>
internal static class NativeAllocator
{
    private const int TrimThreshold = -1,
        TopPadding = -2,
        MmapThreshold = -3; // M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
    private const int Most = int.MaxValue,
        LargestOnceAllowed = 32 << 20;

    /// <summary>
    /// More than two of the 64 MiB heaps from which threads other than the main thread allocate; with less padding, empty heaps are
    /// returned to the system.
    /// </summary>
    private const int Padding = 192 << 20;

    private static readonly Lazy<bool> Kept = new(Keep);

    /// <summary>From now on freed blocks stay with the process, until <see cref="ReturnFreeMemory"/>.</summary>
    /// <returns>Whether the allocator supports it.</returns>
    public static bool KeepFreedMemory() => Kept.Value;

    /// <summary>
    /// For the duration of a fit: optionally keeps freed memory while it runs, and returns it to the system when the result is disposed.
    /// </summary>
    /// <param name="keep">Whether freed memory is kept; otherwise only what an earlier fit kept is returned.</param>
    public static IDisposable ForFit(bool keep)
    {
        if (keep)
            KeepFreedMemory();
        return new FreeMemory();
    }

    /// <summary>Returns free memory to the system if <see cref="KeepFreedMemory"/> kept it.</summary>
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
            // Older versions of glibc accept at most half of a thread's heap.
            return (Set(MmapThreshold, Most) != 0 || Set(MmapThreshold, LargestOnceAllowed) != 0)
                && Set(TrimThreshold, Most) != 0
                && Set(TopPadding, Padding) != 0;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false; // another C library, such as musl
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
