using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// One array in NumPy's .npy format. Opening validates the whole header against the file's length and reads no element, so no more memory
/// is ever allocated than the file has bytes.
/// </summary>
internal sealed class NpyFile : IDisposable
{
    private readonly ByteStore _bytes;
    private readonly NpyHeader _header;
    private readonly string _location;

    private NpyFile(ByteStore bytes, string location)
    {
        (_bytes, _location) = (bytes, location);
        _header = NpyHeader.Read(bytes, location);
        long data = bytes.Length - _header.DataStart;
        if (data < _header.DataLength)
            throw new InvalidDataException(
                $"{location}: an array of shape [{string.Join(", ", Shape)}] in {Type} needs {_header.DataLength} bytes, but {data} "
                    + "follow the header; it is cut short or damaged."
            );
        if (data > _header.DataLength)
            throw new InvalidDataException(
                $"{location}: {data - _header.DataLength} bytes follow the array; this is more than one array, or it is damaged."
            );
    }

    public ElementType Type => _header.Type;

    public IReadOnlyList<long> Shape => _header.Shape;

    /// <summary>Opens a file, which stays open until disposal.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not a valid .npy file of a supported kind.</exception>
    public static NpyFile Open(string path) => Open(ByteStore.Open(path), path);

    /// <summary>Reads from memory, which must not change before disposal.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a valid .npy file of a supported kind.</exception>
    public static NpyFile FromBytes(ReadOnlyMemory<byte> bytes, string location) => Open(ByteStore.Over(bytes), location);

    /// <summary>The array in its stored type, on the CPU, in row-major order whatever the order in the file. The caller owns it.</summary>
    /// <exception cref="InvalidDataException">The array is over 2 GB.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public Tensor Read()
    {
        if (_header.DataLength > int.MaxValue)
            throw new InvalidDataException(
                $"{_location}: the array has {_header.DataLength} bytes; one array can have at most {int.MaxValue}."
            );
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        long[] shape = [.. Shape];
        Tensor tensor = empty(_header.IsFortran ? [.. shape.Reverse()] : shape, Type.ToScalarType(), CPU);
        if (_header.DataLength > 0)
            _bytes.Read(_header.DataStart, tensor.bytes);
        if (_header.IsFortran && shape.Length > 1)
            tensor = tensor.permute([.. Enumerable.Range(0, shape.Length).Reverse().Select(i => (long)i)]).contiguous();
        return tensor.MoveToOuterDisposeScope();
    }

    /// <summary>Writes at the stream's position, in C order, and leaves the stream open.</summary>
    /// <param name="stream">The destination.</param>
    /// <param name="array">The array, on any device; owned by the caller.</param>
    /// <exception cref="ArgumentException">The format does not support the array's type.</exception>
    public static void Write(Stream stream, Tensor array)
    {
        stream.Write(NpyHeader.Write(array.dtype.InFile(), array.shape));
        if (array.NumberOfElements == 0)
            return;
        using var scope = NewDisposeScope();
        stream.Write(array.detach().cpu().contiguous().bytes);
    }

    public void Dispose() => _bytes.Dispose();

    private static NpyFile Open(ByteStore bytes, string location)
    {
        try
        {
            return new NpyFile(bytes, location);
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }
}

/// <summary>
/// A folder with one .npy file per named array and texts in metadata.json: the same content as a safetensors file, readable with NumPy
/// alone.
/// </summary>
internal sealed class NpyFolder : ITensorSource
{
    private const string MetadataFile = "metadata.json",
        Extension = ".npy";
    private const int MaximumFiles = 10_000,
        MaximumMetadata = 1 << 26;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);

    private NpyFolder(string folder)
    {
        Location = folder;
        // macOS puts a companion file, "._" and the name, beside every file on disks without its attributes.
        IEnumerable<string> paths = Directory
            .EnumerateFiles(folder, "*" + Extension)
            .Where(path => !Path.GetFileName(path).StartsWith("._", StringComparison.Ordinal));
        foreach (string path in paths.Order(StringComparer.Ordinal))
        {
            if (_entries.Count == MaximumFiles)
                throw new InvalidDataException(
                    $"{folder}: there are more than {MaximumFiles} {Extension} files; point to a folder that holds nothing but the "
                        + "exported arrays."
                );
            using NpyFile file = NpyFile.Open(path);
            string name = Path.GetFileNameWithoutExtension(path);
            _entries.Add(name, new TensorEntry(name, file.Type, file.Shape));
        }
        Metadata = ReadMetadata(Path.Combine(folder, MetadataFile));
    }

    public string Location { get; }

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Validates the header of every file but reads no array.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">A file in the folder is damaged or of an unsupported kind.</exception>
    public static NpyFolder Open(string folder) => new(folder);

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">There is no such array, or it is over 2 GB.</exception>
    public Tensor Read(string name)
    {
        if (!Entries.ContainsKey(name))
            throw new InvalidDataException($"{Location}: there is no array '{name}{Extension}'.");
        using NpyFile file = NpyFile.Open(Path.Combine(Location, name + Extension));
        return file.Read();
    }

    /// <summary>
    /// Writes everything or nothing into an empty or new folder, so that arrays of an earlier export cannot be mixed with the new ones.
    /// </summary>
    /// <param name="folder">The destination.</param>
    /// <param name="tensors">The arrays, on any device; owned by the caller.</param>
    /// <param name="metadata">Texts by name.</param>
    /// <exception cref="IOException">The folder is not empty, or cannot be written.</exception>
    public static void Write(
        string folder,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string> metadata
    ) => WholeFolder.Write(folder, unfinished =>
        {
            void Write(string name, Action<Stream> write)
            {
                using FileStream stream = new(Path.Combine(unfinished, name), FileMode.CreateNew);
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            foreach (var (name, tensor) in tensors)
                Write(name + Extension, stream => NpyFile.Write(stream, tensor));
            Write(MetadataFile, stream =>
                JsonSerializer.Serialize(
                    stream,
                    new SortedDictionary<string, string>(metadata.ToDictionary(), StringComparer.Ordinal),
                    Indented
                )
            );
        });

    public void Dispose() { }

    private static Dictionary<string, string> ReadMetadata(string path)
    {
        if (!File.Exists(path))
            return [];
        if (new FileInfo(path).Length > MaximumMetadata)
            throw new InvalidDataException($"{path} has more than {MaximumMetadata} bytes, so it is not what was exported.");
        try
        {
            return
                JsonSerializer.Deserialize<Dictionary<string, string?>>(File.ReadAllText(path)) is { } texts
                && texts.Values.All(text => text is not null)
                ? texts.ToDictionary(text => text.Key, text => text.Value!)
                : throw new InvalidDataException($"{path} holds no object of texts.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not a JSON object of texts: {e.Message}", e);
        }
    }
}
