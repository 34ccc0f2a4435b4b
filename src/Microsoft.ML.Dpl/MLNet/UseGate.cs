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
