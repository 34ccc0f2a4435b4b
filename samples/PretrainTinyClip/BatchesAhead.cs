using System.Collections.Concurrent;

namespace PretrainTinyClip;

/// <summary>Makes batches ahead on a thread of its own, which never touches libtorch.</summary>
/// <typeparam name="T">A batch.</typeparam>
internal sealed class BatchesAhead<T> : IDisposable
    where T : class
{
    private readonly BlockingCollection<T> _ready;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _making;

    /// <param name="batches">An endless series, gone through on that thread.</param>
    /// <param name="capacity">How many lie ready at most.</param>
    public BatchesAhead(IEnumerable<T> batches, int capacity)
    {
        _ready = new BlockingCollection<T>(capacity);
        _making = Task.Factory.StartNew(
            () => Make(batches),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
    }

    /// <summary>Waits for the next batch; throws what ended their making.</summary>
    public T Next(CancellationToken cancellationToken)
    {
        if (_ready.TryTake(out T? batch, Timeout.Infinite, cancellationToken))
            return batch;
        _making.GetAwaiter().GetResult();
        throw new ObjectDisposedException(nameof(BatchesAhead<T>));
    }

    public void Dispose()
    {
        _stop.Cancel();
        _making.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        _ready.Dispose();
        _stop.Dispose();
    }

    private void Make(IEnumerable<T> batches)
    {
        try
        {
            foreach (T batch in batches)
                _ready.Add(batch, _stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Nobody wants further batches.
        }
        finally
        {
            _ready.CompleteAdding();
        }
    }
}
