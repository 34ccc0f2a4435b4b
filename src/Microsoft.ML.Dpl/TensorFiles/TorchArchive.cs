using System.IO.Compression;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// The tensors of a zip written by <c>torch.save</c> (1.6 or later) or <c>torch.jit.save</c>, such as OpenAI's own archives: a pickle that
/// describes them, and one uncompressed file of elements for each storage. Nothing in it is executed, and TorchScript's code and constants
/// are not read.
/// </summary>
internal sealed class TorchArchive : ITensorSource
{
    private const int LongestPickle = 1 << 26,
        LongestByteOrder = 16;

    private readonly ZipArchive _zip;
    private readonly string _folder;
    private readonly object _reading = new();
    private readonly IReadOnlyDictionary<string, PickledTensor> _tensors;

    private TorchArchive(ZipArchive zip, string location)
    {
        (_zip, Location) = (zip, location);
        const string pickle = "data.pkl";
        ZipArchiveEntry[] found =
        [
            .. zip.Entries.Where(e =>
                e.FullName == pickle
                || (e.FullName.EndsWith("/" + pickle, StringComparison.Ordinal) && e.FullName.Count(c => c == '/') == 1)
            ),
        ];
        if (found.Length != 1)
            throw new InvalidDataException(
                $"{location}: this zip has {found.Length} files '*/{pickle}' instead of one, so torch.save or torch.jit.save did not "
                    + "write it. Convert other checkpoints to safetensors first."
            );
        _folder = found[0].FullName[..^pickle.Length];
        RequireLittleEndian();
        _tensors = TorchTensors.Named(TensorPickle.Read(ReadWhole(found[0], LongestPickle), location), location);
        foreach (var (name, tensor) in _tensors)
            CheckPlace(name, tensor);
        Entries = _tensors.ToDictionary(
            t => t.Key,
            t => new TensorEntry(t.Key, t.Value.Storage.Type, t.Value.Shape),
            StringComparer.Ordinal
        );
    }

    public string Location { get; }

    public IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>Whether a file begins like a zip; checkpoints from before torch 1.6 do not.</summary>
    public static bool IsZip(string path)
    {
        using FileStream file = File.OpenRead(path);
        Span<byte> start = stackalloc byte[4];
        return file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start.SequenceEqual("PK\u0003\u0004"u8);
    }

    /// <summary>
    /// Opens an archive and validates the location of every tensor, but reads no elements. The file stays open until disposal.
    /// </summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not such an archive, it is damaged, or its pickle contains more than
    /// tensors.</exception>
    public static TorchArchive Open(string path)
    {
        GitLfsPointer.Refuse(path);
        if (!IsZip(path))
            throw new InvalidDataException(
                $"{path}: this is not a zip archive as torch.save (1.6 or later) and torch.jit.save write; convert the checkpoint to "
                    + "safetensors first."
            );
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            return Guarded(path, () => new TorchArchive(new ZipArchive(file, ZipArchiveMode.Read), path));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">There is no such tensor, it is over 2 GB, or the archive is damaged.</exception>
    public Tensor Read(string name)
    {
        if (!_tensors.TryGetValue(name, out PickledTensor? tensor))
            throw new InvalidDataException($"{Location}: there is no tensor '{name}'.");
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        long span = TorchTensors.Span(tensor);
        Tensor flat = empty([span], tensor.Storage.Type.ToScalarType(), CPU);
        if (span > 0)
            ReadNumbers(tensor, flat.bytes);
        if (tensor.Storage.Type == ElementType.Bool && flat.bytes.ContainsAnyExceptInRange((byte)0, (byte)1))
            throw new InvalidDataException($"{Location}: tensor '{name}' holds booleans other than 0 and 1.");
        Tensor shaped = TorchTensors.IsContiguous(tensor)
            ? flat.reshape([.. tensor.Shape])
            : flat.as_strided([.. tensor.Shape], [.. tensor.Strides]).clone();
        return shaped.DetachFromDisposeScope();
    }

    public void Dispose() => _zip.Dispose();

    private void ReadNumbers(PickledTensor tensor, Span<byte> bytes)
    {
        // All readers of a zip share one position.
        lock (_reading)
        {
            try
            {
                using Stream stream = Entry(tensor.Storage).Open();
                Skip(stream, tensor.Offset * SafetensorsType.SizeOf(tensor.Storage.Type));
                stream.ReadExactly(bytes);
            }
            catch (Exception e) when (IsDamage(e))
            {
                throw Damaged(Location, e);
            }
        }
    }

    private void CheckPlace(string name, PickledTensor tensor)
    {
        string At(string what) => $"{Location}: tensor '{name}' {what}.";
        if (
            tensor.Shape.Count != tensor.Strides.Count
            || tensor.Offset < 0
            || tensor.Shape.Any(s => s < 0)
            || tensor.Strides.Any(s => s < 0)
        )
            throw new InvalidDataException(
                At(
                    $"has the shape [{string.Join(", ", tensor.Shape)}], strides [{string.Join(", ", tensor.Strides)}] and offset "
                        + $"{tensor.Offset}, which describe no tensor"
                )
            );
        long size = SafetensorsType.SizeOf(tensor.Storage.Type);
        if (TorchTensors.Elements(tensor) is not { } elements || elements * size > int.MaxValue)
            throw new InvalidDataException(At($"is over {int.MaxValue} bytes"));
        long span = TorchTensors.Span(tensor);
        if (span > int.MaxValue / size)
            throw new InvalidDataException(At($"spans more than {int.MaxValue} bytes"));
        if (elements > span)
            throw new InvalidDataException(At("repeats numbers instead of storing them; save a contiguous copy"));
        if (span > tensor.Storage.Count - tensor.Offset)
            throw new InvalidDataException(At($"reaches beyond the {tensor.Storage.Count} numbers of its storage"));
        ZipArchiveEntry entry = Entry(tensor.Storage);
        // PyTorch does not compress, so a small file cannot expand to a large one.
        if (entry.CompressedLength != entry.Length)
            throw new InvalidDataException(At($"lies in '{entry.FullName}', which is compressed; PyTorch does not do that"));
        if (tensor.Storage.Count > entry.Length / size)
            throw new InvalidDataException(
                At($"lies in '{entry.FullName}', whose {entry.Length} bytes are too few for {tensor.Storage.Count} numbers of {size}")
            );
    }

    private ZipArchiveEntry Entry(PickledStorage storage) =>
        _zip.GetEntry($"{_folder}data/{storage.Key}")
        ?? throw new InvalidDataException(
            $"{Location}: the file '{_folder}data/{storage.Key}' that holds a tensor is missing; the archive is incomplete."
        );

    private void RequireLittleEndian()
    {
        if (_zip.GetEntry(_folder + "byteorder") is { } order && !ReadWhole(order, LongestByteOrder).AsSpan().StartsWith("little"u8))
            throw new InvalidDataException(
                $"{Location}: the numbers are in big-endian order; save the checkpoint again on a little-endian machine."
            );
    }

    private byte[] ReadWhole(ZipArchiveEntry entry, int longest)
    {
        if (entry.CompressedLength != entry.Length)
            throw new InvalidDataException($"{Location}: '{entry.FullName}' is compressed; PyTorch does not do that.");
        if (entry.Length > longest)
            throw new InvalidDataException($"{Location}: '{entry.FullName}' has {entry.Length} bytes; at most {longest} are expected.");
        byte[] bytes = new byte[entry.Length];
        using Stream stream = entry.Open();
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static void Skip(Stream stream, long count)
    {
        byte[] buffer = new byte[Math.Min(count, 1 << 16)];
        for (int chunk; count > 0; count -= chunk)
            stream.ReadExactly(buffer, 0, chunk = (int)Math.Min(count, buffer.Length));
    }

    private static T Guarded<T>(string location, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (IsDamage(e))
        {
            throw e is InvalidDataException && e.Message.StartsWith(location, StringComparison.Ordinal) ? e : Damaged(location, e);
        }
    }

    // The exceptions that the zip reader throws for damaged archives, for example for invalid names, times and lengths.
    private static bool IsDamage(Exception e) =>
        e is InvalidDataException or EndOfStreamException or NotSupportedException or ArgumentException or OverflowException
        || (e is IOException && e.GetType() == typeof(IOException));

    private static InvalidDataException Damaged(string location, Exception e) =>
        e is InvalidDataException own && e.Message.StartsWith(location, StringComparison.Ordinal)
            ? own
            : new InvalidDataException($"{location}: the archive is damaged or incomplete. {e.Message}", e);
}

/// <summary>Finds the tensors in what a pickle described, under the names of a state dictionary.</summary>
internal static class TorchTensors
{
    private const int DeepestModule = 64,
        MostValues = 1_000_000;
    private const string StateDictionary = "state_dict";

    /// <summary>
    /// All tensors: those of a dictionary by its keys, those of TorchScript modules by the path of attributes, joined by dots.
    /// </summary>
    /// <param name="root">The result of <see cref="TensorPickle.Read"/>; for a training checkpoint, its <c>state_dict</c> is used.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <exception cref="InvalidDataException">There are no tensors, or the graph has cycles or too many values.</exception>
    public static IReadOnlyDictionary<string, PickledTensor> Named(object? root, string location)
    {
        if (
            root is PickledDictionary { Items: var items }
            && items.FirstOrDefault(i => i.Key is StateDictionary).Value is PickledDictionary inner
        )
            root = inner;
        var tensors = new Dictionary<string, PickledTensor>(StringComparer.Ordinal);
        int values = 0;
        Collect(root, "", 0);
        return tensors.Count > 0
            ? tensors
            : throw new InvalidDataException($"{location}: the archive holds no tensors by name, so it is not a checkpoint of a model.");

        void Collect(object? value, string name, int depth)
        {
            if (++values > MostValues || depth > DeepestModule)
                throw new InvalidDataException(
                    $"{location}: its data.pkl holds itself or more than {MostValues} values, so it is not a checkpoint of a model."
                );
            if (value is PickledTensor tensor)
            {
                if (!tensors.TryAdd(name, tensor))
                    throw new InvalidDataException($"{location}: tensor '{name}' occurs twice.");
                return;
            }
            PickledDictionary? fields = value as PickledDictionary ?? (value as PickledModule)?.Attributes;
            foreach (var (key, field) in fields?.Items ?? [])
                if (key is string text)
                    Collect(field, name.Length == 0 ? text : $"{name}.{text}", depth + 1);
        }
    }

    /// <summary>Number of elements of a tensor; null if it or one of the sizes exceeds <see cref="int.MaxValue"/>.</summary>
    public static long? Elements(PickledTensor tensor)
    {
        long elements = 1;
        foreach (long size in tensor.Shape)
        {
            if (size > int.MaxValue || (size > 0 && elements > int.MaxValue / size))
                return null;
            elements *= size;
        }
        return elements;
    }

    /// <summary>Number of elements of its storage that a tensor spans; <see cref="long.MaxValue"/> if it exceeds a long.</summary>
    public static long Span(PickledTensor tensor)
    {
        if (tensor.Shape.Contains(0))
            return 0;
        Int128 last = 0;
        foreach (var (size, stride) in tensor.Shape.Zip(tensor.Strides))
            last += (Int128)(size - 1) * stride;
        return last < long.MaxValue ? (long)last + 1 : long.MaxValue;
    }

    /// <summary>Whether the elements are in row-major order without gaps.</summary>
    public static bool IsContiguous(PickledTensor tensor)
    {
        long expected = 1;
        for (int axis = tensor.Shape.Count - 1; axis >= 0; axis--)
        {
            if (tensor.Shape[axis] != 1 && tensor.Strides[axis] != expected)
                return false;
            expected *= tensor.Shape[axis];
        }
        return true;
    }
}
