using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.VisualBasic.FileIO;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>The names of a table's columns; null to look for the usual names.</summary>
/// <param name="Image">Column of paths.</param>
/// <param name="Label">Column of classes.</param>
/// <param name="Split">Column of splits.</param>
/// <param name="Weight">Column of weights; null: all rows have weight 1.</param>
/// <param name="NeedsAll">Whether a named split or weight column must exist.</param>
internal sealed record TableColumns(
    string? Image = null,
    string? Label = null,
    string? Split = null,
    string? Weight = null,
    bool NeedsAll = true
);

/// <summary>Reads a table of images: a header line, then on each line a path, a class and optionally a split and a weight, separated by
/// tabs, commas or semicolons.</summary>
internal static class ImageTable
{
    private static readonly string[] ImageNames =
    [
        "ImagePath",
        "Image",
        "Path",
        "File",
        "Filename",
        "FilePath",
        "ImageSource",
        "ImageFile",
    ];
    private static readonly string[] LabelNames = ["Label", "Class", "ClassName", "LabelName", "Category"];
    private static readonly string[] SplitNamesOfColumn = ["Split", "Set", "Subset", "Partition"];

    /// <param name="file">The table. Relative paths are resolved against <paramref name="imageRoot"/>, or the table's folder.</param>
    /// <param name="columns">The names of the columns.</param>
    /// <param name="imageRoot">Folder that relative paths are resolved against; null: the table's folder.</param>
    /// <exception cref="InvalidDataException">A column is missing, or a row cannot be read; the message names the line.</exception>
    public static ImageSets Read(string file, TableColumns columns, string? imageRoot)
    {
        (TextFieldParser open, char delimiter) = Open(file);
        using TextFieldParser parser = open;
        string[] header = Header(parser, file);
        int image = ImageColumn(header, columns.Image, file, delimiter);
        int label = Find(header, columns.Label, LabelNames, "classes", "--label-column", file)
            ?? throw Missing(file, header, "classes", "--label-column", LabelNames, delimiter);
        string? Named(string? column) => column is not null && (columns.NeedsAll || Index(header, column) >= 0) ? column : null;
        int? split = Find(header, Named(columns.Split), SplitNamesOfColumn, "splits", "--split-column", file);
        int? weight = Named(columns.Weight) is { } weights ? Find(header, weights, [], "weights", "--weight-column", file) : null;

        string root = imageRoot ?? Path.GetDirectoryName(Path.GetFullPath(file))!;
        var rows = new List<ImageRow>[] { [], [], [] };
        while (true)
        {
            long line = parser.LineNumber;
            if (ReadFields(parser, file) is not { } fields)
                break;
            string Where() => $"{file}, line {line}";
            RequireRow(fields, header, image, Where());
            if (fields[label].Length == 0)
                throw new InvalidDataException($"{Where()}: the class is empty.");
            ImageSplit set = split is not int s
                ? ImageSplit.Train
                : SplitNames.Parse(fields[s])
                    ?? throw new InvalidDataException($"{Where()}: '{fields[s]}' is not a split; known splits are {SplitNames.Known}.");
            float counts = 1;
            if (
                weight is int w
                && !(
                    float.TryParse(fields[w], NumberStyles.Float, CultureInfo.InvariantCulture, out counts)
                    && float.IsFinite(counts)
                    && counts >= 0
                )
            )
                throw new InvalidDataException($"{Where()}: '{fields[w]}' is not a weight: it must be a number of at least 0.");
            rows[(int)set]
                .Add(
                    new ImageRow
                    {
                        ImagePath = ImagePaths.Full(fields[image], root),
                        Label = ComposedText.Compose(fields[label]),
                        Weight = counts,
                    }
                );
        }
        if (rows.All(set => set.Count == 0))
            throw new InvalidDataException($"The table '{file}' has no rows after its first line.");
        return new ImageSets(file, rows[0], rows[1], rows[2]);
    }

    /// <summary>Reads only the paths, in the table's order.</summary>
    /// <param name="file">The table.</param>
    /// <param name="imageColumn">Column of paths; null: one of the usual names.</param>
    /// <param name="imageRoot">Folder that relative paths are resolved against; null: the table's folder.</param>
    /// <returns>Rows with the full path as the image and the path as written in the table as the label.</returns>
    /// <exception cref="InvalidDataException">The column is missing, or a row cannot be read; the message names the line.</exception>
    public static IReadOnlyList<ImageRow> Paths(string file, string? imageColumn, string? imageRoot)
    {
        (TextFieldParser open, char delimiter) = Open(file);
        using TextFieldParser parser = open;
        string[] header = Header(parser, file);
        int image = ImageColumn(header, imageColumn, file, delimiter);
        string root = imageRoot ?? Path.GetDirectoryName(Path.GetFullPath(file))!;
        var rows = new List<ImageRow>();
        for (long line = parser.LineNumber; ReadFields(parser, file) is { } fields; line = parser.LineNumber)
        {
            RequireRow(fields, header, image, $"{file}, line {line}");
            rows.Add(new ImageRow { ImagePath = ImagePaths.Full(fields[image], root), Label = fields[image] });
        }
        return rows.Count > 0 ? rows : throw new InvalidDataException($"The table '{file}' has no rows after its first line.");
    }

    private static (TextFieldParser Parser, char Delimiter) Open(string file)
    {
        string text = StrictText.Read(file);
        char delimiter = Delimiter(file, text);
        var parser = new TextFieldParser(new StringReader(text))
        {
            Delimiters = [$"{delimiter}"],
            HasFieldsEnclosedInQuotes = delimiter != '\t',
            TrimWhiteSpace = true,
        };
        return (parser, delimiter);
    }

    private static string[] Header(TextFieldParser parser, string file) =>
        ReadFields(parser, file)
        ?? throw new InvalidDataException(
            $"The table '{file}' is empty. Its first line must name the columns, such as ImagePath and Label."
        );

    private static int ImageColumn(string[] header, string? given, string file, char delimiter) =>
        Find(header, given, ImageNames, "image paths", "--image-column", file)
        ?? throw Missing(file, header, "image paths", "--image-column", ImageNames, delimiter);

    private static void RequireRow(string[] fields, string[] header, int image, string where)
    {
        if (fields.Length != header.Length)
            throw new InvalidDataException(
                $"{where}: {fields.Length} columns, but the first line names {header.Length} ({string.Join(", ", header)})."
            );
        if (fields[image].Length == 0)
            throw new InvalidDataException($"{where}: the path is empty.");
        if (fields[image].Contains('\0'))
            throw new InvalidDataException($"{where}: the path holds a zero character. Save the table as UTF-8.");
    }

    /// <summary>The delimiter suggested by the file extension, unless the first line lacks it and has another usual one.</summary>
    private static char Delimiter(string file, string text)
    {
        ReadOnlySpan<char> first = text.AsSpan()[..(text.AsSpan().IndexOfAny('\r', '\n') is >= 0 and var end ? end : text.Length)];
        foreach (char delimiter in Path.GetExtension(file).Equals(".csv", StringComparison.OrdinalIgnoreCase) ? ",;\t" : "\t;,")
            if (first.Contains(delimiter))
                return delimiter;
        return Path.GetExtension(file).Equals(".csv", StringComparison.OrdinalIgnoreCase) ? ',' : '\t';
    }

    private static string[]? ReadFields(TextFieldParser parser, string file)
    {
        try
        {
            return parser.ReadFields();
        }
        catch (MalformedLineException e)
        {
            throw new InvalidDataException(
                $"{file}, line {parser.ErrorLineNumber}: the quotes do not match. A quoted field begins and ends with \", and a quote "
                    + "within it is written \"\".",
                e
            );
        }
    }

    private static int? Find(string[] header, string? given, string[] usual, string what, string option, string file)
    {
        if (given is null)
            return usual.Select(name => UsualIndex(header, name)).FirstOrDefault(index => index >= 0, -1) is >= 0 and var found
                ? found
                : null;
        return Index(header, given) is >= 0 and var index
            ? index
            : throw new InvalidDataException(
                $"The table '{file}' has no column '{given}' ({option}, the {what}); its columns are {string.Join(", ", header)}."
            );
    }

    private static int Index(string[] header, string name) =>
        Array.FindIndex(header, column => column.Equals(name, StringComparison.OrdinalIgnoreCase));

    // Underscores are ignored, since Hugging Face's tables call the column file_name.
    private static int UsualIndex(string[] header, string name) =>
        Index([.. header.Select(column => column.Replace("_", "", StringComparison.Ordinal))], name);

    private static InvalidDataException Missing(string file, string[] header, string what, string option, string[] usual, char delimiter)
    {
        string separators = delimiter switch
        {
            '\t' => "tabs",
            ';' => "semicolons",
            _ => "commas",
        };
        return new(
            $"The table '{file}' has no column with the {what}: its first line, read with {separators} between columns, names "
                + $"{string.Join(", ", header.Select(name => $"'{name}'"))}. Call the column {usual[0]}, or say with {option} how it is "
                + "called."
        );
    }
}
