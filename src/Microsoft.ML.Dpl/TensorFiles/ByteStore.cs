using Microsoft.ML.Dpl.Runtime;
using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Bytes with random access: an open file or an array.</summary>
internal abstract class ByteStore : IDisposable
{
    public abstract long Length { get; }

    /// <summary>
    /// Fills <paramref name="destination"/> with the bytes from <paramref name="offset"/> on; the whole range must be inside.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The store is closed.</exception>
    /// <exception cref="InvalidDataException">The file was truncated after it was opened.</exception>
    public abstract void Read(long offset, Span<byte> destination);

    public abstract void Dispose();

    /// <summary>Opens a file without reading any of it.</summary>
    /// <exception cref="InvalidDataException">The file is a Git LFS pointer.</exception>
    public static ByteStore Open(string path)
    {
        GitLfsPointer.Refuse(path);
        return new OpenFile(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read));
    }

    public static ByteStore Over(ReadOnlyMemory<byte> bytes) => new InMemory(bytes);

    // Not memory-mapped: if another program truncates a mapped file, the process is killed, whereas a read only ends early.
    private sealed class OpenFile(string path, SafeFileHandle handle) : ByteStore
    {
        public override long Length { get; } = RandomAccess.GetLength(handle);

        // The handle is reference-counted, so closing it on another thread cannot redirect a read to another file.
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

/// <summary>Reads from another stream and throws after a given number of bytes, for decompressing files that may be hostile.</summary>
/// <param name="inner">The stream to read; disposed together with this one.</param>
/// <param name="longest">Largest number of bytes.</param>
/// <param name="location">The name of the file, for messages.</param>
internal sealed class BoundedStream(Stream inner, long longest, string location) : Stream
{
    private long _read;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _read;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <exception cref="InvalidDataException">There are more bytes than allowed.</exception>
    public override int Read(Span<byte> buffer)
    {
        int read = inner.Read(buffer);
        _read += read;
        return _read <= longest
            ? read
            : throw new InvalidDataException(
                $"{location}: the file unpacks to more than {longest} bytes, which is not what it should hold."
            );
    }

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }
}
