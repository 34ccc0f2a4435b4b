using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Reads a folder with one subfolder of images per class, or with such folders in train, val and test. If a folder is ambiguous,
/// it throws and says what it found instead of guessing.</summary>
internal static class ImageFolder
{
    /// <param name="folder">An existing folder.</param>
    /// <param name="files">Finds the images, and counts those in formats that cannot be read.</param>
    /// <exception cref="InvalidDataException">There are no class folders, a class folder has no image, or splits cannot be distinguished
    /// from classes.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public static ImageSets Read(string folder, ImageFiles files)
    {
        files.Claim(folder);
        string[] inside = files.FoldersIn(folder);
        var below = inside.ToDictionary(path => path, files.FoldersIn);
        var splits = inside.ToLookup(path => SplitNames.Parse(Path.GetFileName(path)));
        // A class may be called test, so folders are splits only if all of them have names of splits.
        if (inside.Length > 0 && !splits[null].Any())
        {
            RequireClassesIn(folder, below);
            IReadOnlyList<ImageRow> Rows(ImageSplit split) => [.. splits[split].SelectMany(path => Classes(path, below[path], files))];
            return new ImageSets(folder, Rows(ImageSplit.Train), Rows(ImageSplit.Validation), Rows(ImageSplit.Test));
        }
        RequireNoSplits(folder, below);
        RequireNotAbove(below, files);
        return new ImageSets(folder, Classes(folder, inside, files), [], []);
    }

    private static void RequireClassesIn(string folder, Dictionary<string, string[]> below)
    {
        string[] flat = [.. below.Where(pair => pair.Value.Length == 0).Select(pair => pair.Key)];
        if (flat.Length == 0)
            return;
        throw new InvalidDataException(
            $"The folders in '{folder}' ({Names(below.Keys)}) are named as splits, but {Names(flat)} "
                + $"{(flat.Length == 1 ? "has" : "have")} no class folders in {(flat.Length == 1 ? "it" : "them")}. Make one folder of "
                + "images for each class in each, leave out a split by naming the others' folders (--validation, --test), or give a "
                + "table of paths and classes."
        );
    }

    /// <summary>Rejects folders that all contain the same subfolders and no images of their own, since they are hardly classes.</summary>
    private static void RequireNoSplits(string folder, Dictionary<string, string[]> below)
    {
        HashSet<string>[] inner = [.. below.Values.Select(paths => paths.Select(Name).ToHashSet(StringComparer.Ordinal))];
        if (
            inner.Length < 2
            || inner[0].Count < 2
            || inner.Any(names => !names.SetEquals(inner[0]))
            || below.Keys.Any(ImageFiles.HasImages)
        )
            return;
        throw new InvalidDataException(
            $"The folders in '{folder}' ({Names(below.Keys)}) all hold the same folders ({Names(below.Values.First())}), so they look like "
                + "splits rather than classes. Name them one by one, the training images first and others with --validation and --test; or "
                + $"rename them to known splits: {SplitNames.Known}. If they are classes, give a table of paths and classes."
        );
    }

    /// <summary>Rejects a single class folder that contains subfolders, since the user probably named its parent by mistake.</summary>
    private static void RequireNotAbove(Dictionary<string, string[]> below, ImageFiles files)
    {
        if (below.Count != 1)
            return;
        var (only, inner) = below.Single();
        if (inner.Length < 2 || ImageFiles.HasImages(only))
            return;
        bool isDeeper = inner.Any(path => files.FoldersIn(path).Length > 0);
        throw new InvalidDataException(
            $"There is a single class folder, '{only}', and it holds {inner.Length} folders ({Names(inner)}). If these are the classes, "
                + $"name '{only}' instead{(isDeeper ? ", or the folder of the classes below it" : "")}."
        );
    }

    private static IReadOnlyList<ImageRow> Classes(string folder, string[] classes, ImageFiles files)
    {
        if (classes.Length == 0)
            throw new InvalidDataException(
                $"The folder '{folder}' has no folders in it. Make one folder of images for each class, named as the class."
            );
        // Claim all folders before listing the first, so that no class gets the images of another through a link.
        foreach (string path in classes)
            if (!files.Claim(path))
                throw new InvalidDataException(
                    $"The class folder '{path}' is a link to a folder that was already visited, or forms a loop. Remove it."
                );
        var rows = new List<ImageRow>();
        foreach (string path in classes)
        {
            int before = rows.Count;
            rows.AddRange(
                files
                    .In(path)
                    .Select(image => new ImageRow { ImagePath = Path.GetFullPath(image), Label = ComposedText.Compose(Name(path)) })
            );
            if (rows.Count == before)
                throw new InvalidDataException(
                    $"The class folder '{path}' has no image that can be read ({ImageKinds.Readable}). Put images into it, or remove it."
                        + (files.LeftOutNote() is { } note ? $" {note}" : "")
                );
        }
        return rows;
    }

    private static string Name(string path) => Path.GetFileName(path);

    private static string Names(IReadOnlyCollection<string> paths) =>
        string.Join(", ", paths.Take(5).Select(Name)) + (paths.Count > 5 ? ", …" : "");
}
