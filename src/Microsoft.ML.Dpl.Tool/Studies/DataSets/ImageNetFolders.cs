using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>Reads ImageNet and its variants: a folder of images for each WordNet id, or in ImageNetV2 for each class number, with the class
/// names in <c>classnames.txt</c>.</summary>
internal static class ImageNetFolders
{
    public const string NamesFile = "classnames.txt";

    /// <summary>Reads ImageNet. As in CoOp, its validation images serve as the test set, so there is no validation set.</summary>
    /// <param name="folder">The folder with images/train, images/val and the names.</param>
    /// <param name="cancellationToken">Cancels the search for images.</param>
    /// <exception cref="InvalidDataException">A folder has no name, or the names cannot be read.</exception>
    public static ImageSets Read(string folder, CancellationToken cancellationToken)
    {
        ClassFolders names = Names(folder);
        IReadOnlyList<ImageRow> Rows(string split) => names.Rows(Path.Combine(folder, "images", split), cancellationToken);
        return new ImageSets(folder, Rows("train"), [], Rows("val")) { IsCoOpSplit = true, ClassOrder = names.Order };
    }

    /// <summary>Reads a variant, which is only for tests. Its classes are those that have images, so variants with 200 classes are
    /// classified among these.</summary>
    /// <param name="folder">The folder with the images and the names.</param>
    /// <param name="images">Name of the folder in it that contains the class folders.</param>
    /// <param name="cancellationToken">Cancels the search for images.</param>
    /// <exception cref="InvalidDataException">A folder has no name, or the names cannot be read.</exception>
    public static ImageSets ReadVariant(string folder, string images, CancellationToken cancellationToken)
    {
        ClassFolders names = Names(folder);
        IReadOnlyList<ImageRow> rows = names.Rows(Path.Combine(folder, images), cancellationToken);
        var there = rows.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        return new ImageSets(folder, [], [], rows) { IsCoOpSplit = true, ClassOrder = [.. names.Order.Where(there.Contains)] };
    }

    private static ClassFolders Names(string folder)
    {
        string file = Path.Combine(folder, NamesFile);
        var names = new List<(string Folder, string Name)>();
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (string line in StrictText.Read(file).Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0))
        {
            if (line.Split(' ', 2) is not [var id, { Length: > 0 } words])
                throw new InvalidDataException(
                    $"'{file}' has the line '{line}': each must be a folder's name, a space and the class's name."
                );
            string name = ComposedText.Compose(words.Trim());
            // OpenAI's list has duplicate names, which would give identical texts: the second gets its WordNet id appended.
            names.Add((id, taken.Add(name) ? name : $"{name} ({id})"));
        }
        return new ClassFolders(file, names);
    }

    /// <summary>Maps folders to classes.</summary>
    private sealed class ClassFolders(string file, IReadOnlyList<(string Folder, string Name)> names)
    {
        private readonly Dictionary<string, string> _byFolder = names
            .GroupBy(name => name.Folder, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.First().Name, StringComparer.Ordinal);

        /// <summary>The classes in CoOp's order, which is that of their folders.</summary>
        public IReadOnlyList<string> Order { get; } =
        [.. names.OrderBy(name => name.Folder, StringComparer.Ordinal).Select(name => name.Name)];

        public IReadOnlyList<ImageRow> Rows(string folder, CancellationToken cancellationToken)
        {
            var files = new ImageFiles(cancellationToken);
            var rows = new List<ImageRow>();
            foreach (string path in files.FoldersIn(folder))
            {
                string label = NameOf(path);
                rows.AddRange(files.In(path).Select(image => new ImageRow { ImagePath = Path.GetFullPath(image), Label = label }));
            }
            return rows;
        }

        private string NameOf(string path)
        {
            string folder = Path.GetFileName(path);
            if (_byFolder.TryGetValue(folder, out string? name))
                return name;
            // ImageNetV2 names its folders by zero-based line numbers of the list.
            return int.TryParse(folder, NumberStyles.None, CultureInfo.InvariantCulture, out int line) && line < names.Count
                ? names[line].Name
                : throw new InvalidDataException($"The folder '{path}' has no line in '{file}': add it there, or remove the folder.");
        }
    }
}
