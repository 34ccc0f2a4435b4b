using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Frozen weights that are in memory once per process, however many models use them: read for the first lease, disposed with the
/// last.</summary>
internal static class SharedWeights
{
    private static readonly Dictionary<object, Entry> Entries = [];

    /// <param name="key">Compared by value; equal keys share.</param>
    /// <param name="load">Called where nobody holds a lease; others with the same key wait for it. The last lease disposes its
    /// result.</param>
    public static Lease<T> Rent<T>(object key, Func<T> load)
        where T : class, IDisposable
    {
        Entry? entry;
        lock (Entries)
        {
            if (!Entries.TryGetValue(key, out entry))
                Entries.Add(key, entry = new Entry());
            entry.Users++;
        }
        try
        {
            lock (entry.Loading)
                entry.Value ??= load();
            return new Lease<T>((T)entry.Value, () => Release(key, entry));
        }
        catch
        {
            Release(key, entry);
            throw;
        }
    }

    private static void Release(object key, Entry entry)
    {
        lock (Entries)
        {
            if (--entry.Users > 0)
                return;
            Entries.Remove(key);
        }
        entry.Value?.Dispose();
    }

    private sealed class Entry
    {
        public object Loading { get; } = new();

        public int Users { get; set; }

        public IDisposable? Value { get; set; }
    }
}
