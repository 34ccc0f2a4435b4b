using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// One safetensors file: eight bytes of header length (little endian), the JSON header, then the tensors without gaps.
/// Opening validates the whole header but reads no tensor; several threads may read at once.
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
                    + "this is not a safetensors file, or it is damaged."
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

    /// <summary>Opens a file, which stays open until disposal; tensors are read on demand.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not a valid safetensors file.</exception>
    public static SafetensorsFile Open(string path) => Open(ByteStore.Open(path), path);

    /// <summary>Reads from memory, which must not change before disposal.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a valid safetensors file.</exception>
    public static SafetensorsFile FromBytes(ReadOnlyMemory<byte> bytes, string location) => Open(ByteStore.Over(bytes), location);

    /// <summary>Copies the rest of a stream, for example an entry of a model zip, into memory.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a valid safetensors file.</exception>
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
    /// <exception cref="InvalidDataException">There is no such tensor, it is over 2 GB, the file was truncated after it was opened, or the
    /// tensor contains booleans other than 0 and 1.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public Tensor Read(string name)
    {
        if (!Entries.TryGetValue(name, out TensorEntry? entry))
            throw new InvalidDataException($"{Location}: there is no tensor '{name}'.");
        (long offset, long length) = _header.PlaceOf(name);
        if (length > int.MaxValue)
            throw new InvalidDataException($"{Location}: tensor '{name}' has {length} bytes; one tensor can have at most {int.MaxValue}.");
        LibTorch.EnsureLoaded();
        Tensor tensor = empty([.. entry.Shape], entry.Type.ToScalarType(), CPU);
        try
        {
            if (length > 0)
                _bytes.Read(_dataStart + offset, tensor.bytes);
            if (entry.Type == ElementType.Bool && tensor.bytes.ContainsAnyExceptInRange((byte)0, (byte)1))
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

/// <summary>
/// Reads safetensors from a stream of unknown length, such as a compressed entry: sequentially and each tensor directly into its own
/// memory, so that nothing is held twice.
/// </summary>
internal static class SafetensorsStream
{
    /// <param name="stream">The stream, which is read to the end.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <param name="check">Checks the header before memory is allocated for any tensor; throws if the header is not as expected.</param>
    /// <returns>All tensors by name, on the CPU; owned by the caller and detached from dispose scopes.</returns>
    /// <exception cref="InvalidDataException">The bytes are not a valid safetensors file, or more bytes follow it.</exception>
    /// <exception cref="EndOfStreamException">The stream ends too early.</exception>
    public static Dictionary<string, Tensor> Read(Stream stream, string location, Action<SafetensorsHeader> check)
    {
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        try
        {
            ReadEach(stream, location, check, (entry, length) =>
            {
                using var ordinary = inference_mode(false);
                Tensor tensor = empty([.. entry.Shape], entry.Type.ToScalarType(), CPU).DetachFromDisposeScope();
                tensors.Add(entry.Name, tensor);
                if (length > 0)
                    stream.ReadExactly(tensor.bytes);
            });
            return tensors;
        }
        catch
        {
            foreach (Tensor tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    /// <summary>Reads as <see cref="Read"/> does, but without libtorch: the stored bytes of each tensor, in little-endian order.</summary>
    public static Dictionary<string, byte[]> ReadBytes(Stream stream, string location, Action<SafetensorsHeader> check)
    {
        var numbers = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        ReadEach(stream, location, check, (entry, length) =>
        {
            byte[] bytes = GC.AllocateUninitializedArray<byte>(length);
            stream.ReadExactly(bytes);
            numbers.Add(entry.Name, bytes);
        });
        return numbers;
    }

    private static void ReadEach(Stream stream, string location, Action<SafetensorsHeader> check, Action<TensorEntry, int> read)
    {
        SafetensorsHeader header = ReadHeader(stream, location);
        check(header);
        // If the length of the stream is known, no memory is allocated for bytes that it does not have.
        if (stream.CanSeek && header.DataLength > stream.Length - stream.Position)
            throw new EndOfStreamException(
                $"{location}: the tensors end at byte {header.DataLength}, but {stream.Length - stream.Position} bytes follow the header."
            );
        foreach (string name in header.NamesInOrder())
        {
            long length = header.PlaceOf(name).Length;
            if (length > int.MaxValue)
                throw new InvalidDataException(
                    $"{location}: tensor '{name}' has {length} bytes; one tensor can have at most {int.MaxValue}."
                );
            read(header.Entries[name], (int)length);
        }
        if (stream.ReadByte() >= 0)
            throw new InvalidDataException($"{location}: more bytes follow the last tensor.");
    }

    private static SafetensorsHeader ReadHeader(Stream stream, string location)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        stream.ReadExactly(prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > SafetensorsHeader.MaximumLength)
            throw new InvalidDataException(
                $"{location}: a header of {length} bytes is over the {SafetensorsHeader.MaximumLength} that safetensors allows; this "
                    + "is not a safetensors file, or it is damaged."
            );
        if (stream.CanSeek && (long)length > stream.Length - stream.Position)
            throw new EndOfStreamException(
                $"{location}: a header of {length} bytes does not fit the {stream.Length - stream.Position} that follow."
            );
        byte[] json = new byte[length];
        stream.ReadExactly(json);
        return SafetensorsHeader.Parse(json, dataLength: null, location);
    }
}

/// <summary>Writes tensors as one safetensors file; equal content gives equal bytes, whatever the order of the tensors.</summary>
internal static class SafetensorsWriter
{
    private const int HeaderAlignment = 8;

    /// <summary>
    /// Writes at the stream's position and leaves the stream open. Tensors may be on any device and stay owned by the caller.
    /// </summary>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or the format does not support a tensor's type.</exception>
    public static void Write(
        Stream stream,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        // The widest elements come first, so that every tensor is aligned to its element size.
        KeyValuePair<string, Tensor>[] ordered =
        [
            .. tensors.OrderByDescending(t => SafetensorsType.SizeOf(t.Value.dtype.InFile())).ThenBy(t => t.Key, StringComparer.Ordinal),
        ];
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataName };
        foreach (string name in ordered.Select(t => t.Key))
            if (!names.Add(name))
                throw new ArgumentException($"Tensor name '{name}' is reserved or occurs twice.", nameof(tensors));

        byte[] header = Header(ordered, metadata ?? new Dictionary<string, string>());
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (Tensor tensor in ordered.Select(t => t.Value))
            WriteData(stream, tensor);
    }

    private static byte[] Header(KeyValuePair<string, Tensor>[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsHeader.MetadataName);
                foreach (var (name, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(name, value);
                json.WriteEndObject();
            }
            long offset = 0;
            foreach (var (name, tensor) in tensors)
            {
                long end = offset + tensor.NumberOfElements * SafetensorsType.SizeOf(tensor.dtype.InFile());
                json.WriteStartObject(name);
                json.WriteString("dtype", SafetensorsType.NameOf(tensor.dtype.InFile()));
                WriteNumbers(json, "shape", tensor.shape);
                WriteNumbers(json, "data_offsets", offset, end);
                json.WriteEndObject();
                offset = end;
            }
            json.WriteEndObject();
        }
        int padded = (buffer.WrittenCount + HeaderAlignment - 1) / HeaderAlignment * HeaderAlignment;
        byte[] header = new byte[padded];
        header.AsSpan().Fill((byte)' ');
        buffer.WrittenSpan.CopyTo(header);
        return header;
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, params long[] numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        if (tensor.NumberOfElements == 0)
            return;
        using var scope = NewDisposeScope();
        stream.Write(tensor.detach().cpu().contiguous().bytes);
    }
}
