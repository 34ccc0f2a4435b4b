using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Runs the cases of one target on a separate thread and detects cases that hang.</summary>
internal sealed class FuzzRun(FuzzTarget target, int seed)
{
    /// <summary>A generous limit, as a case takes milliseconds: only one that never ends is to be caught.</summary>
    private static readonly TimeSpan LongestCase = TimeSpan.FromMinutes(2);

    private volatile int _current = -1;
    private Exception? _failure;

    public int Refused { get; private set; }

    public int Accepted { get; private set; }

    /// <summary>The largest number of managed bytes that a single case allocated.</summary>
    public long MostAllocated { get; private set; }

    /// <summary>The largest growth of the process's resident memory, in bytes, measured between cases.</summary>
    public long MostResident { get; private set; }

    /// <exception cref="InvalidOperationException">A case failed; the message says how to run it alone.</exception>
    public void Run(int first, int count)
    {
        // If the whole process crashes, this file still contains the number of the case.
        string trace = Path.Combine(Path.GetTempPath(), $"dpl-fuzz-{target.Name}-{Environment.ProcessId}.txt");
        var thread = new Thread(() => RunAll(first, count, trace), maxStackSize: 16 << 20) { IsBackground = true };
        thread.Start();
        for (int before = -1; !thread.Join(LongestCase); before = _current)
            if (before == _current)
                throw new InvalidOperationException($"{Case(before)} has not ended after {LongestCase}.");
        File.Delete(trace);
        if (_failure is { } failure)
            throw new InvalidOperationException($"{Case(_current)}: {failure.GetType().Name}: {failure.Message}", failure);
    }

    private string Case(int number) =>
        $"Case {number} of '{target.Name}', seed {seed} (alone: DPL_FUZZ_SEED={seed} DPL_FUZZ_CASE={target.Name}:{number})";

    private void RunAll(int first, int count, string trace)
    {
        using FileStream log = File.Create(trace);
        long resident = Environment.WorkingSet;
        try
        {
            for (int i = 0; i < count; i++)
            {
                _current = first + i;
                log.Position = 0;
                log.Write(Encoding.ASCII.GetBytes(_current.ToString(CultureInfo.InvariantCulture) + "\n"));
                log.Flush();
                RunOne(_current);
                if (i % 16 == 0)
                    MostResident = Math.Max(MostResident, Environment.WorkingSet - resident);
            }
        }
        catch (Exception e)
        {
            _failure = e;
        }
    }

    private void RunOne(int number)
    {
        byte[] input = target.Make(new Random(SeedOf(number)));
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target.Read(input);
            Accepted++;
        }
        catch (Exception e) when (target.Documented.Contains(e.GetType()))
        {
            if (string.IsNullOrWhiteSpace(e.Message))
                throw new InvalidOperationException("A refusal says nothing.", e);
            Refused++;
        }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before,
            allowed = target.BytesAtLeast + target.BytesPerByte * input.Length;
        MostAllocated = Math.Max(MostAllocated, allocated);
        if (allocated > allowed)
            throw new InvalidOperationException($"{input.Length} bytes made the reader allocate {allocated}, more than {allowed}.");
    }

    // FNV-1a instead of GetHashCode, so that a case is the same in every process.
    private int SeedOf(int number)
    {
        uint hash = 2166136261;
        foreach (byte b in Encoding.ASCII.GetBytes($"{seed}/{target.Name}/{number.ToString(CultureInfo.InvariantCulture)}"))
            hash = unchecked((hash ^ b) * 16777619);
        return unchecked((int)hash);
    }
}
