using System.Buffers.Binary;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// One safetensors file: eight bytes of header length (little endian), the JSON header, then the tensors without gaps.
/// Opening checks the whole header and reads no tensor; several threads may read at once.
/// </summary>
internal sealed class SafetensorsFile : ITensorSource
{
    private const int LengthBytes = 8;

    private readonly ByteStore _bytes;
    private readonly SafetensorsHeader _header;
    private readonly long _dataStart;

    private SafetensorsFile(ByteStore bytes, string location)
    {
        (_bytes, Location) = (bytes, location);
        if (bytes.Length < LengthBytes)
            throw new InvalidDataException($"{location}: {bytes.Length} bytes are too few for a safetensors file.");
        Span<byte> prefix = stackalloc byte[LengthBytes];
        bytes.Read(0, prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > SafetensorsHeader.MaximumLength)
            throw new InvalidDataException(
                $"{location}: a header of {headerLength} bytes is over the {SafetensorsHeader.MaximumLength} that safetensors allows; "
                    + "this is no safetensors file, or it is damaged."
            );
        if (headerLength > (ulong)(bytes.Length - LengthBytes))
            throw new InvalidDataException(
                $"{location}: a header of {headerLength} bytes does not fit the file's {bytes.Length}; it is cut short or damaged."
            );

        byte[] json = new byte[headerLength];
        bytes.Read(LengthBytes, json);
        _dataStart = LengthBytes + (long)headerLength;
        _header = SafetensorsHeader.Parse(json, bytes.Length - _dataStart, location);
    }

    public string Location { get; }

    public IReadOnlyDictionary<string, TensorEntry> Entries => _header.Entries;

    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Keeps a file open until disposal; tensors are read when they are asked for.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no valid safetensors file.</exception>
    public static SafetensorsFile Open(string path) => Open(ByteStore.Open(path), path);

    /// <summary>Reads from memory, which must not change before disposal.</summary>
    /// <exception cref="InvalidDataException">The bytes are no valid safetensors file.</exception>
    public static SafetensorsFile FromBytes(ReadOnlyMemory<byte> bytes, string location) => Open(ByteStore.Over(bytes), location);

    /// <summary>Copies the rest of a stream, for instance an entry of a model file, into memory.</summary>
    /// <exception cref="InvalidDataException">The bytes are no valid safetensors file.</exception>
    public static SafetensorsFile FromStream(Stream stream, string location)
    {
        long length = stream.CanSeek ? stream.Length - stream.Position : 0;
        if (length > Array.MaxLength)
            throw new InvalidDataException($"{location}: {length} bytes are more than can be read into memory.");
        using var copy = new MemoryStream((int)length);
        stream.CopyTo(copy);
        return FromBytes(copy.GetBuffer().AsMemory(0, (int)copy.Length), location);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">There is no such tensor, it is over 2 GB, the file was cut short since it was opened, or it
    /// holds booleans other than 0 and 1.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public Tensor Read(string name)
    {
        if (!Entries.TryGetValue(name, out TensorEntry? entry))
            throw new InvalidDataException($"{Location}: there is no tensor '{name}'.");
        (long offset, long length) = _header.PlaceOf(name);
        if (length > int.MaxValue)
            throw new InvalidDataException($"{Location}: tensor '{name}' has {length} bytes; one tensor can have at most {int.MaxValue}.");
        LibTorch.EnsureLoaded();
        Tensor tensor = empty([.. entry.Shape], entry.Type, CPU);
        try
        {
            if (length > 0)
                _bytes.Read(_dataStart + offset, tensor.bytes);
            if (entry.Type == ScalarType.Bool && tensor.bytes.ContainsAnyExceptInRange((byte)0, (byte)1))
                throw new InvalidDataException($"{Location}: tensor '{name}' holds booleans other than 0 and 1.");
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    public void Dispose() => _bytes.Dispose();

    private static SafetensorsFile Open(ByteStore bytes, string location)
    {
        try
        {
            return new SafetensorsFile(bytes, location);
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }
}
