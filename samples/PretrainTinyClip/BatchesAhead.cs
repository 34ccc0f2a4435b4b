using System.Collections.Concurrent;

namespace PretrainTinyClip;

/// <summary>Prepares batches in advance on a background thread that never uses libtorch.</summary>
/// <typeparam name="T">The type of a batch.</typeparam>
internal sealed class BatchesAhead<T> : IDisposable
    where T : class
{
    private readonly BlockingCollection<T> _ready;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _making;

    /// <param name="batches">An endless sequence, enumerated on the background thread.</param>
    /// <param name="capacity">Maximum number of batches kept ready.</param>
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

    /// <summary>Waits for the next batch; rethrows the exception if preparing batches has failed.</summary>
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
            // Disposed: no further batches are needed.
        }
        finally
        {
            _ready.CompleteAdding();
        }
    }
}
