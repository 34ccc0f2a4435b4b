using System.IO.MemoryMappedFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Bytes that are read by position: a memory-mapped file or an array.</summary>
internal abstract class ByteStore : IDisposable
{
    public abstract long Length { get; }

    /// <summary>Fills <paramref name="destination"/> from <paramref name="offset"/> on; the whole range lies inside.</summary>
    /// <exception cref="ObjectDisposedException">The store is closed.</exception>
    public abstract void Read(long offset, Span<byte> destination);

    public abstract void Dispose();

    /// <summary>Maps a file; nothing of it is read before it is asked for.</summary>
    public static ByteStore Map(string path)
    {
        // An empty file cannot be mapped.
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        try
        {
            if (file.Length > 0) return new MappedFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
        file.Dispose();
        return new InMemory(default);
    }

    public static ByteStore Over(ReadOnlyMemory<byte> bytes) => new InMemory(bytes);

    private sealed class MappedFile : ByteStore
    {
        private readonly MemoryMappedFile _map;
        private readonly MemoryMappedViewAccessor _view;

        public MappedFile(FileStream file)
        {
            Length = file.Length;
            _map = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            _view = _map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        }

        public override long Length { get; }

        // The handle counts its users and checks bounds, so closing on another thread cannot pull the pages away.
        public override void Read(long offset, Span<byte> destination)
            => _view.SafeMemoryMappedViewHandle.ReadSpan(checked((ulong)(offset + _view.PointerOffset)), destination);

        public override void Dispose()
        {
            _view.Dispose();
            _map.Dispose();
        }
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
