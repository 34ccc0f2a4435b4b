using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Bytes that are read by position: an open file or an array.</summary>
internal abstract class ByteStore : IDisposable
{
    public abstract long Length { get; }

    /// <summary>Fills <paramref name="destination"/> from <paramref name="offset"/> on; the whole range lies inside.</summary>
    /// <exception cref="ObjectDisposedException">The store is closed.</exception>
    /// <exception cref="InvalidDataException">The file has become shorter since it was opened.</exception>
    public abstract void Read(long offset, Span<byte> destination);

    public abstract void Dispose();

    /// <summary>Opens a file; nothing of it is read before it is asked for.</summary>
    public static ByteStore Open(string path) => new OpenFile(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read));

    public static ByteStore Over(ReadOnlyMemory<byte> bytes) => new InMemory(bytes);

    // Not mapped: a mapped file that another program cuts short ends the process, where a read only ends early.
    private sealed class OpenFile(string path, SafeFileHandle handle) : ByteStore
    {
        public override long Length { get; } = RandomAccess.GetLength(handle);

        // The handle counts its users, so closing on another thread cannot give its number to another file.
        public override void Read(long offset, Span<byte> destination)
        {
            while (!destination.IsEmpty)
            {
                int read = RandomAccess.Read(handle, destination, offset);
                if (read == 0)
                    throw new InvalidDataException($"{path}: the file ends at byte {offset}, earlier than when it was opened.");
                destination = destination[read..];
                offset += read;
            }
        }

        public override void Dispose() => handle.Dispose();
    }

    private sealed class InMemory(ReadOnlyMemory<byte> bytes) : ByteStore
    {
        private ReadOnlyMemory<byte>? _bytes = bytes;

        public override long Length { get; } = bytes.Length;

        public override void Read(long offset, Span<byte> destination)
        {
            ReadOnlyMemory<byte> all = _bytes ?? throw new ObjectDisposedException(nameof(ByteStore));
            all.Span.Slice(checked((int)offset), destination.Length).CopyTo(destination);
        }

        public override void Dispose() => _bytes = null;
    }
}
