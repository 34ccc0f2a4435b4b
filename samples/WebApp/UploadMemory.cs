using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>Counts the bytes of all uploads in memory, from their first byte until neither the queue nor a heat map uses them any more, so
/// that many concurrent clients cannot exceed the limit.</summary>
internal sealed class UploadMemory(IOptions<ClassifierOptions> options)
{
    private long _held;

    /// <summary>Opens a request's share, which grows while its body is received.</summary>
    public Share Open() => new(this);

    private bool TryHold(int bytes)
    {
        if (Interlocked.Add(ref _held, bytes) <= options.Value.MaxUploadMemoryBytes)
            return true;
        Interlocked.Add(ref _held, -bytes);
        return false;
    }

    /// <summary>The memory of one request, released as a whole at the end of the request, which outlasts every use of its image.</summary>
    public sealed class Share(UploadMemory memory) : IDisposable
    {
        private long _bytes;

        /// <summary>Reserves more bytes; false if all uploads together would exceed the limit.</summary>
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
