using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>A folder of .npy files, one per named array, with texts beside them in metadata.json: what safetensors keeps in one file, for
/// those who have only NumPy.</summary>
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
        foreach (string path in Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal))
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

    /// <summary>Checks every file's header and reads no array.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">A file in it is damaged or of a kind that is not read.</exception>
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

    /// <summary>Writes all or nothing into a folder that is empty or is made; arrays of an earlier export would otherwise stay among the
    /// new ones.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="tensors">On any device; they stay the caller's.</param>
    /// <param name="metadata">Texts by name.</param>
    /// <exception cref="IOException">The folder holds something, or it cannot be written.</exception>
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
            throw new InvalidDataException($"{path} is no JSON object of texts: {e.Message}", e);
        }
    }
}
