namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Reads a folder with one folder of images for each class, or with such folders in train, val and test.</summary>
internal static class ImageFolder
{
    /// <summary>What the library's decoder reads.</summary>
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"];

    /// <param name="folder">An existing folder.</param>
    /// <exception cref="InvalidDataException">There are no class folders, or one has no image.</exception>
    public static ImageSets Read(string folder)
    {
        string[] inside = Visible(folder);
        var splits = inside.ToLookup(path => SplitNames.Parse(Path.GetFileName(path)));
        // A class may be called test: only where every folder names a split are they splits.
        if (inside.Length > 0 && !splits[null].Any() && inside.Any(path => Visible(path).Length > 0))
        {
            IReadOnlyList<ImageRow> Of(ImageSplit split) => [.. splits[split].SelectMany(path => Classes(path, Visible(path)))];
            return new ImageSets(folder, Of(ImageSplit.Train), Of(ImageSplit.Validation), Of(ImageSplit.Test));
        }
        return new ImageSets(folder, Classes(folder, inside), [], []);
    }

    /// <summary>Image files in a folder and those below it, ordered by code point.</summary>
    public static IEnumerable<string> ImagesIn(string folder) =>
        Directory
            .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(path => Extensions.Contains(Path.GetExtension(path).ToLowerInvariant()) && !Path.GetFileName(path).StartsWith('.'))
            .Order(StringComparer.Ordinal);

    private static IReadOnlyList<ImageRow> Classes(string folder, string[] classes)
    {
        if (classes.Length == 0)
            throw new InvalidDataException(
                $"The folder '{folder}' has no folders in it. Make one folder of images for each class, named as the class."
            );
        var rows = new List<ImageRow>();
        foreach (string path in classes)
        {
            int before = rows.Count;
            rows.AddRange(
                ImagesIn(path).Select(image => new ImageRow { ImagePath = Path.GetFullPath(image), Label = Path.GetFileName(path) })
            );
            if (rows.Count == before)
                throw new InvalidDataException(
                    $"The class folder '{path}' has no image ({string.Join(" ", Extensions)}). Put images into it, or remove it."
                );
        }
        return rows;
    }

    private static string[] Visible(string folder) =>
        [.. Directory.GetDirectories(folder).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal)];
}
