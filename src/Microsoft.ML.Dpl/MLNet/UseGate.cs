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
                    "The model was disposed, by its owner and by each PredictionEngine that was created from it. Load it again, or dispose "
                        + "of it later."
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

/// <summary>Reference count of a model: its creator holds one share, and each prediction engine another. An engine disposes its model with
/// itself, and the model cannot tell an engine from its creator. Thread-safe.</summary>
internal sealed class ModelShares
{
    private readonly object _sharing = new();
    private int _shares = 1; // 0: disposed

    /// <summary>Adds a share for another engine; has no effect once the model is disposed.</summary>
    public void Take()
    {
        lock (_sharing)
        {
            if (_shares > 0)
                _shares++;
        }
    }

    /// <summary>Releases one share.</summary>
    /// <returns>Whether it was the last one, so that the model must be freed; true only once.</returns>
    public bool GiveBack()
    {
        lock (_sharing)
            return _shares > 0 && --_shares == 0;
    }
}
