using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Threads that divide the work of a step into parts. Each computes its part from end to end with few threads of its own, so they
/// synchronise only twice a step, whereas libtorch's threads do so at every operation.
/// </summary>
internal sealed class WorkerTeam : IDisposable
{
    private readonly BlockingCollection<Action>[] _work;
    private readonly Thread[] _threads;

    /// <param name="count">Number of workers, at least 1.</param>
    /// <param name="threadsEach">Threads that the operations of each worker may use, at least 1.</param>
    public WorkerTeam(int count, int threadsEach)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(threadsEach, 1);
        _work = [.. Enumerable.Range(0, count).Select(_ => new BlockingCollection<Action>())];
        _threads =
        [
            .. _work.Select(
                (work, index) => new Thread(() => Work(work, threadsEach)) { IsBackground = true, Name = $"DPL worker {index}" }
            ),
        ];
        foreach (Thread thread in _threads)
            thread.Start();
    }

    /// <summary>Number of workers.</summary>
    public int Count => _work.Length;

    /// <summary>
    /// Calls <paramref name="part"/> with 0 to <see cref="Count"/> − 1, each on its worker, and waits for all. If parts fail, the exception
    /// of the one with the lowest number is rethrown.
    /// </summary>
    public void Run(Action<int> part)
    {
        var failures = new Exception?[Count];
        using var open = new CountdownEvent(Count);
        for (int i = 0; i < Count; i++)
        {
            int index = i;
            _work[i]
                .Add(() =>
                {
                    try
                    {
                        part(index);
                    }
                    catch (Exception e)
                    {
                        failures[index] = e; // rethrown below, on the calling thread
                    }
                    open.Signal();
                });
        }
        open.Wait();
        if (failures.FirstOrDefault(f => f is not null) is { } first)
            ExceptionDispatchInfo.Throw(first);
    }

    public void Dispose()
    {
        foreach (BlockingCollection<Action> work in _work)
            work.CompleteAdding();
        foreach (Thread thread in _threads)
            thread.Join();
        foreach (BlockingCollection<Action> work in _work)
            work.Dispose();
    }

    private static void Work(BlockingCollection<Action> work, int threads)
    {
        using IDisposable limit = NativeThreads.LimitCallingThread(threads);
        foreach (Action action in work.GetConsumingEnumerable())
            action();
    }
}

/// <summary>
/// Sets the number of threads of libtorch's operations for the calling thread only, whereas <c>torch.set_num_threads</c> sets it for the
/// whole process. Available only where libtorch exports OpenMP and MKL functions (Linux x64).
/// </summary>
internal static class NativeThreads
{
    private static readonly Lazy<(SetThreads OpenMP, SetThreads Mkl)?> Setters = new(Find);

    [ThreadStatic]
    private static int _unlimited; // the calling thread's number of threads outside all limits; 0: not limited

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int SetThreads(int count);

    /// <summary>Whether <see cref="LimitCallingThread"/> has an effect on this system.</summary>
    public static bool CanLimit => Setters.Value is not null;

    /// <summary>
    /// Limits operations called on this thread to <paramref name="count"/> threads until the result is disposed on the same thread.
    /// </summary>
    public static IDisposable LimitCallingThread(int count)
    {
        // Queried first, because the first query on a new thread initialises its count and would overwrite one set before.
        int before = get_num_threads();
        if (Setters.Value is not var (openMP, mkl))
            return new Restoration(() => { });
        bool isOutermost = _unlimited == 0;
        if (isOutermost)
            _unlimited = before;
        int mklBefore = mkl(count);
        openMP(count);
        return new Restoration(() =>
        {
            mkl(mklBefore);
            openMP(before);
            if (isOutermost)
                _unlimited = 0;
        });
    }

    /// <summary>
    /// Lets operations called on this thread use the threads that they had outside all limits, until the result is disposed on the same
    /// thread. Has no effect on a thread without a limit.
    /// </summary>
    public static IDisposable LiftLimit() => _unlimited == 0 ? new Restoration(() => { }) : LimitCallingThread(_unlimited);

    private static (SetThreads OpenMP, SetThreads Mkl)? Find()
    {
        if (LibTorch.CpuLibrary is not { } library)
            return null;
        // A library's export lookup includes its dependencies, such as the OpenMP library beside it.
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
