using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The number of repetitions in tests that repeat an operation: few by default, many if the environment variable <c>DPL_LONG</c>
/// is 1.</summary>
internal static class LongRuns
{
    public static bool AreAsked => Environment.GetEnvironmentVariable("DPL_LONG") == "1";

    public static int Times(int always, int asked) => AreAsked ? asked : always;
}

/// <summary>The memory that the process holds after all free memory has been returned.</summary>
/// <param name="Managed">Bytes of live objects.</param>
/// <param name="Resident">Bytes of the process in physical memory.</param>
/// <param name="Tensors">The number of tensors as counted by TorchSharp.</param>
internal readonly record struct HeldMemory(long Managed, long Resident, long Tensors)
{
    // A long run's growth must stay below this share. In a short run the runtime itself may allocate more, hence the minimums.
    private const double Share = 0.02;
    private const long ShortManaged = 1 << 20,
        ShortResident = 12 << 20;

    public static HeldMemory Now()
    {
        for (int i = 0; i < 2; i++)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
        }
        NativeAllocator.ReturnFreeMemory();
        return new HeldMemory(GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet, Tensor.TotalCount);
    }

    /// <summary>Asserts that neither kind of memory has grown by more than 2 %, and that no tensor was leaked.</summary>
    public void RequireNoMoreThan(HeldMemory before)
    {
        Assert.InRange(Tensors, 0, before.Tensors);
        Assert.InRange(Managed, 0, before.Managed + Allowed(before.Managed, ShortManaged));
        Assert.InRange(Resident, 0, before.Resident + Allowed(before.Resident, ShortResident));
    }

    public override string ToString() =>
        FormattableString.Invariant($"managed {Managed / 1048576.0:f2} MiB, resident {Resident / 1048576.0:f1} MiB, {Tensors} tensors");

    private static long Allowed(long before, long always) =>
        LongRuns.AreAsked ? (long)(Share * before) : Math.Max((long)(Share * before), always);
}
