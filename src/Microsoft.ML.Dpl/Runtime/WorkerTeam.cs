using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Threads that share a step's work by parts. Each computes its part from end to end with few threads of its own, and they meet twice a
/// step, where libtorch's threads meet at every operation.
/// </summary>
internal sealed class WorkerTeam : IDisposable
{
    private readonly BlockingCollection<Action>[] _work;
    private readonly Thread[] _threads;

    /// <param name="count">Workers, at least 1.</param>
    /// <param name="threadsEach">Threads that each worker's operations may use, at least 1.</param>
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

    /// <summary>Workers.</summary>
    public int Count => _work.Length;

    /// <summary>Calls <paramref name="part"/> with 0 to <see cref="Count"/> − 1, each on its worker, and waits for all. The first part's
    /// exception is thrown on.</summary>
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
                        failures[index] = e; // thrown below, on the thread that asked
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
