using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>ImageNet and its variants: a folder of images for each WordNet id, or in ImageNetV2 for each class number, whose names are
/// in <c>classnames.txt</c>.</summary>
internal static class ImageNetFolders
{
    public const string NamesFile = "classnames.txt";

    /// <summary>As in CoOp the validation images of ImageNet are the test, and there are no others to validate on.</summary>
    /// <param name="folder">With images/train, images/val and the names.</param>
    /// <param name="cancellationToken">Ends the search for images.</param>
    /// <exception cref="InvalidDataException">A folder has no name, or the names cannot be read.</exception>
    public static ImageSets Read(string folder, CancellationToken cancellationToken)
    {
        ClassFolders names = Names(folder);
        IReadOnlyList<ImageRow> Rows(string split) => names.Rows(Path.Combine(folder, "images", split), cancellationToken);
        return new ImageSets(folder, Rows("train"), [], Rows("val")) { IsCoOpSplit = true, ClassOrder = names.Order };
    }

    /// <summary>A variant, which is for tests only. Those with 200 classes are told apart from among these.</summary>
    /// <param name="folder">With the images and the names.</param>
    /// <param name="images">The folder of the class folders in it.</param>
    /// <param name="cancellationToken">Ends the search for images.</param>
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
            // OpenAI's list has names twice, which no text tells apart: the second gets its WordNet id.
            names.Add((id, taken.Add(name) ? name : $"{name} ({id})"));
        }
        return new ClassFolders(file, names);
    }

    /// <summary>Which folder is which class.</summary>
    private sealed class ClassFolders(string file, IReadOnlyList<(string Folder, string Name)> names)
    {
        private readonly Dictionary<string, string> _byFolder = names
            .GroupBy(name => name.Folder, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.First().Name, StringComparer.Ordinal);

        /// <summary>CoOp numbers the classes by their folders' order.</summary>
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
            // ImageNetV2 counts the lines of the list instead.
            return int.TryParse(folder, NumberStyles.None, CultureInfo.InvariantCulture, out int line) && line < names.Count
                ? names[line].Name
                : throw new InvalidDataException($"The folder '{path}' has no line in '{file}': add it there, or remove the folder.");
        }
    }
}
