namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Lets many threads use a model and any of them dispose it: disposal waits for running forward passes, and later ones
/// throw.</summary>
/// <param name="model">The transformer's full name, for the exception.</param>
internal sealed class UseGate(string model)
{
    // Scoring takes the read lock, disposal the write lock.
    private readonly ReaderWriterLockSlim _use = new();
    private bool _disposed;

    /// <summary>Runs work that disposal waits for.</summary>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public T Use<T>(Func<T> work)
    {
        _use.EnterReadLock();
        try
        {
            if (_disposed)
                throw new ObjectDisposedException(
                    model,
                    "The model was disposed: by its owner, and by each PredictionEngine that was made of it. Load it again, or dispose it "
                        + "later."
                );
            return work();
        }
        finally
        {
            _use.ExitReadLock();
        }
    }

    /// <summary>Frees the model once no thread uses it. Further calls do nothing.</summary>
    public void Dispose(Action free)
    {
        _use.EnterWriteLock();
        try
        {
            if (_disposed)
                return;
            _disposed = true;
            free();
        }
        finally
        {
            _use.ExitWriteLock();
        }
    }
}

/// <summary>Who still uses a model: whoever made it has one share, and each prediction engine another, which disposes the model with itself
/// and does not say that it is an engine. Thread-safe.</summary>
internal sealed class ModelShares
{
    private readonly object _sharing = new();
    private int _shares = 1; // 0: disposed

    /// <summary>For one more engine; without effect on a model that was disposed.</summary>
    public void Take()
    {
        lock (_sharing)
        {
            if (_shares > 0)
                _shares++;
        }
    }

    /// <summary>Gives one share back.</summary>
    /// <returns>Whether it was the last, once: the model is to be freed.</returns>
    public bool GiveBack()
    {
        lock (_sharing)
            return _shares > 0 && --_shares == 0;
    }
}
