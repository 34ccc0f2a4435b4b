namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Reads from another stream and refuses to go on past a number of bytes: for what is unpacked from a file that may be
/// hostile.</summary>
/// <param name="inner">Disposed with this.</param>
/// <param name="longest">The most bytes that are read.</param>
/// <param name="location">The file, for messages.</param>
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
