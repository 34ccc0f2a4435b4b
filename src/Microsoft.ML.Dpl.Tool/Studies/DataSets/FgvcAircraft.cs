using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.DataSets;

/// <summary>Reads FGVC-Aircraft, whose classes are the hundred variants, such as <c>F-16A/B</c>, listed in text files of its own
/// format.</summary>
internal static class FgvcAircraft
{
    public const string VariantsFile = "variants.txt";

    /// <summary>The file with the rows of a split.</summary>
    public static string RowsFile(string split) => $"images_variant_{split}.txt";

    /// <param name="folder">The folder with the images and the text files.</param>
    /// <param name="cancellationToken">Checked between files.</param>
    /// <exception cref="InvalidDataException">A line cannot be read, or names an unknown variant.</exception>
    public static ImageSets Read(string folder, CancellationToken cancellationToken)
    {
        string[] variants = Lines(Path.Combine(folder, VariantsFile));
        var known = variants.ToHashSet(StringComparer.Ordinal);
        IReadOnlyList<ImageRow> Rows(string split)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string file = Path.Combine(folder, RowsFile(split));
            return
            [
                .. Lines(file)
                    .Select(line =>
                        line.Split(' ', 2) is [var image, var variant] && known.Contains(variant)
                            ? new ImageRow { ImagePath = Path.GetFullPath(Path.Combine(folder, "images", $"{image}.jpg")), Label = variant }
                            : throw new InvalidDataException(
                                $"'{file}' has the line '{line}': each must be an image's number, a space and a variant of {VariantsFile}."
                            )
                    ),
            ];
        }
        return new ImageSets(folder, Rows("train"), Rows("val"), Rows("test")) { IsCoOpSplit = true, ClassOrder = variants };
    }

    private static string[] Lines(string file) =>
        [.. StrictText.Read(file).Split('\n').Select(line => ComposedText.Compose(line.Trim())).Where(line => line.Length > 0)];
}
