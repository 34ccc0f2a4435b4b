using System.Text.Json;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>
/// Reads the split files that come with CoOp (Zhou et al., IJCV 2022, arXiv 2109.01134), split_zhou_*.json:
/// <c>{"train": [["face/1.jpg", 0, "face"], …], "val": […], "test": […]}</c>.
/// </summary>
internal static class SplitFile
{
    /// <param name="file">The JSON file.</param>
    /// <param name="imageRoot">Folder that the paths in the file are relative to; null: the file's folder.</param>
    /// <exception cref="InvalidDataException">The file has another form; the message names the entry.</exception>
    public static ImageSets Read(string file, string? imageRoot)
    {
        string root = Path.GetFullPath(imageRoot ?? Path.GetDirectoryName(Path.GetFullPath(file))!);
        using JsonDocument document = Parse(file);
        try
        {
            return Sets(file, root, document);
        }
        catch (InvalidOperationException e)
        {
            throw Malformed(file, "a text in it is not valid Unicode", e);
        }
    }

    private static ImageSets Sets(string file, string root, JsonDocument document)
    {
        if (document.RootElement.ValueKind != JsonValueKind.Object)
            throw Malformed(file, "it is not an object");
        var names = new Dictionary<int, string>();
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        IReadOnlyList<ImageRow> Read(string split)
        {
            if (!document.RootElement.TryGetProperty(split, out JsonElement entries))
                return [];
            if (entries.ValueKind != JsonValueKind.Array)
                throw Malformed(file, $"'{split}' is not an array");
            return
            [
                .. entries.EnumerateArray().Select((entry, index) => Row(file, root, $"'{split}', entry {index}", entry, names, numbers)),
            ];
        }
        var sets = new ImageSets(file, Read("train"), Read("val"), Read("test"))
        {
            IsCoOpSplit = true,
            ClassOrder = [.. names.OrderBy(name => name.Key).Select(name => name.Value)],
        };
        return sets.All.Any() ? sets : throw Malformed(file, "it has no images in 'train', 'val' or 'test'");
    }

    private static ImageRow Row(
        string file,
        string root,
        string where,
        JsonElement entry,
        Dictionary<int, string> names,
        Dictionary<string, int> numbers
    )
    {
        if (
            entry.ValueKind != JsonValueKind.Array
            || entry.GetArrayLength() != 3
            || entry[0] is not { ValueKind: JsonValueKind.String } path
            || entry[1] is not { ValueKind: JsonValueKind.Number } number
            || entry[2] is not { ValueKind: JsonValueKind.String } name
            || !number.TryGetInt32(out int index)
            || string.IsNullOrWhiteSpace(path.GetString())
            || path.GetString()!.Contains('\0')
            || string.IsNullOrWhiteSpace(name.GetString())
        )
            throw Malformed(file, $"{where} is not of the form [\"path\", number, \"class\"]");
        string label = ComposedText.Compose(name.GetString()!);
        if (!names.TryAdd(index, label) && names[index] != label)
            throw Malformed(file, $"{where} calls class {index} '{label}', but it was '{names[index]}' before");
        if (!numbers.TryAdd(label, index) && numbers[label] != index)
            throw Malformed(
                file,
                $"{where} calls class {index} '{label}', as class {numbers[label]} is called, too: two classes need two names"
            );
        return new ImageRow { ImagePath = ImagePaths.Full(path.GetString()!, root), Label = label };
    }

    private static JsonDocument Parse(string file)
    {
        try
        {
            using FileStream stream = File.OpenRead(file);
            return JsonDocument.Parse(stream);
        }
        catch (JsonException e)
        {
            throw Malformed(file, e.Message, e);
        }
    }

    private static InvalidDataException Malformed(string file, string what, Exception? cause = null) =>
        new($"'{file}' is not a split file like CoOp's split_zhou_*.json: {what}.", cause);
}
