namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// The right to use something shared until disposal; disposing again does nothing. One that is forgotten ends when it is collected: the
/// share lies in a table of the whole process, which would keep CLIP in memory for good.
/// </summary>
internal sealed class Lease<T>(T value, Action release) : IDisposable
    where T : class
{
    private Action? _release = release;

    /// <summary>What is shared. It must not be disposed by the holder.</summary>
    /// <exception cref="ObjectDisposedException">The lease is over.</exception>
    public T Value =>
        Volatile.Read(ref _release) is null
            ? throw new ObjectDisposedException(typeof(T).Name, "The lease on these weights is over.")
            : value;

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Interlocked.Exchange(ref _release, null)?.Invoke();
    }

    ~Lease() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
