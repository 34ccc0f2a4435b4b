namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Lets a model be used by many threads and disposed by any: a dispose waits for the forward passes under way, and later ones are
/// refused.</summary>
/// <param name="model">The transformer's full name, for the exception.</param>
internal sealed class UseGate(string model)
{
    // Readers score, the writer disposes.
    private readonly ReaderWriterLockSlim _use = new();
    private bool _disposed;

    /// <summary>Does something that a dispose waits for.</summary>
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

    /// <summary>Frees the model once nothing uses it; does nothing a second time.</summary>
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
