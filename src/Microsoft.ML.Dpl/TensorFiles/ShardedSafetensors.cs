using System.Text.Json;
using Microsoft.ML.Dpl.Hub;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// A checkpoint that an index distributes over several safetensors files, the format of large checkpoints from Hugging Face.
/// </summary>
internal sealed class ShardedSafetensors : ITensorSource
{
    private readonly Dictionary<string, SafetensorsFile> _shardOf = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly List<SafetensorsFile> _shards = [];

    private ShardedSafetensors(string location) => Location = location;

    public string Location { get; }

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>Always empty: an index has no metadata, and each shard has its own.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>Opens every shard that the index names; the shards must be in the folder of the index.</summary>
    /// <exception cref="FileNotFoundException">The index or a shard is missing.</exception>
    /// <exception cref="InvalidDataException">The index or a shard is invalid, or they contradict each other.</exception>
    public static ShardedSafetensors Open(string indexPath)
    {
        Dictionary<string, string> map = ReadMap(indexPath);
        string folder = Path.GetDirectoryName(Path.GetFullPath(indexPath))!;
        string[] shards = [.. map.Values.Distinct().Order(StringComparer.Ordinal)];
        string[] missing = [.. shards.Where(s => !File.Exists(Path.Combine(folder, s)))];
        if (missing.Length > 0)
            throw new FileNotFoundException(
                $"{indexPath}: these files of the checkpoint are not beside it: {string.Join(", ", missing)}.",
                Path.Combine(folder, missing[0])
            );

        ILookup<string, string> namesOf = map.ToLookup(entry => entry.Value, entry => entry.Key);
        var source = new ShardedSafetensors(indexPath);
        try
        {
            foreach (string shard in shards)
            {
                SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, shard));
                source._shards.Add(file);
                foreach (string name in namesOf[shard])
                {
                    if (!file.Entries.TryGetValue(name, out TensorEntry? entry))
                        throw new InvalidDataException($"{indexPath}: tensor '{name}' should lie in {shard}, but does not.");
                    source._entries.Add(name, entry);
                    source._shardOf.Add(name, file);
                }
            }
            return source;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>The full paths of the files that an index names, without duplicates, in ordinal order of their names.</summary>
    /// <exception cref="InvalidDataException">The index is invalid.</exception>
    public static IReadOnlyList<string> ShardPaths(string indexPath)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(indexPath))!;
        return [.. ReadMap(indexPath).Values.Distinct().Order(StringComparer.Ordinal).Select(s => Path.Combine(folder, s))];
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">There is no such tensor.</exception>
    public Tensor Read(string name) =>
        _shardOf.TryGetValue(name, out SafetensorsFile? shard)
            ? shard.Read(name)
            : throw new InvalidDataException($"{Location}: there is no tensor '{name}'.");

    public void Dispose()
    {
        foreach (SafetensorsFile shard in _shards)
            shard.Dispose();
    }

    private static Dictionary<string, string> ReadMap(string indexPath)
    {
        try
        {
            using JsonDocument index = JsonDocument.Parse(ModelFile.ReadAll(indexPath));
            if (
                index.RootElement.ValueKind != JsonValueKind.Object
                || !index.RootElement.TryGetProperty("weight_map", out JsonElement entries)
                || entries.ValueKind != JsonValueKind.Object
            )
                throw new InvalidDataException($"{indexPath}: there is no object 'weight_map', so this is not an index of a checkpoint.");
            var map = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (JsonProperty entry in entries.EnumerateObject())
            {
                string? shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString() : null;
                if (!IsPlainName(shard))
                    throw new InvalidDataException(
                        $"{indexPath}: tensor '{entry.Name}' is said to lie in {entry.Value.GetRawText()}, which is not the name of a "
                            + ".safetensors file in the same folder."
                    );
                if (!map.TryAdd(entry.Name, shard!))
                    throw new InvalidDataException($"{indexPath}: tensor '{entry.Name}' occurs twice.");
            }
            return map;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{indexPath}: the index is not JSON in UTF-8. {e.Message}", e);
        }
    }

    // A name with a folder in it could reach any file of the machine.
    private static bool IsPlainName(string? name) =>
        name is not null && name.EndsWith(".safetensors", StringComparison.Ordinal) && name.IndexOfAny(['/', '\\', ':', '\0']) < 0;
}
