using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>Counts the bytes of all uploads that are in memory, from their first to the answer, so that many clients at once cannot take
/// more than was agreed.</summary>
internal sealed class UploadMemory(IOptions<ClassifierOptions> options)
{
    private long _held;

    /// <summary>A request's share, which grows while its body comes in.</summary>
    public Share Open() => new(this);

    private bool TryHold(int bytes)
    {
        if (Interlocked.Add(ref _held, bytes) <= options.Value.MaxUploadMemoryBytes)
            return true;
        Interlocked.Add(ref _held, -bytes);
        return false;
    }

    /// <summary>Given back as a whole when the request is answered.</summary>
    public sealed class Share(UploadMemory memory) : IDisposable
    {
        private long _bytes;

        /// <summary>Takes more; false where all uploads together would hold too much.</summary>
        public bool TryGrow(int bytes)
        {
            if (!memory.TryHold(bytes))
                return false;
            _bytes += bytes;
            return true;
        }

        public void Dispose()
        {
            Interlocked.Add(ref memory._held, -_bytes);
            _bytes = 0;
        }
    }
}
