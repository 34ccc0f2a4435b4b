using Microsoft.ML.Data;

namespace QuickStart;

/// <summary>A row of the data: an image's path and its class.</summary>
internal sealed class Image
{
    public string ImagePath { get; set; } = "";

    public string Label { get; set; } = "";

    /// <summary>Reads a table with the columns ImagePath and Label, separated by tabs; relative paths are relative to the table's
    /// folder.</summary>
    /// <exception cref="InvalidDataException">The table has other columns, or a row does not have exactly two fields.</exception>
    public static IReadOnlyList<Image> ReadTable(FileInfo table)
    {
        string[] lines = File.ReadAllLines(table.FullName);
        if (lines.Length < 2 || lines[0].Split('\t') is not ["ImagePath", "Label"])
            throw new InvalidDataException($"{table.FullName}: the first line must be ImagePath<tab>Label, and rows must follow.");
        return
        [
            .. lines
                .Skip(1)
                .Select(
                    (line, index) =>
                        line.Split('\t') is [var path, var label]
                            ? new Image { ImagePath = Path.GetFullPath(path, table.DirectoryName!), Label = label }
                            : throw new InvalidDataException(
                                $"{table.FullName}, line {index + 2}: expected a path, a tab and a class; found '{line}'."
                            )
                ),
        ];
    }
}

/// <summary>A saved model's prediction for one image.</summary>
internal sealed class Answer
{
    public string ImagePath { get; set; } = "";

    [ColumnName("PredictedLabel")]
    public string Class { get; set; } = "";

    public float[] Score { get; set; } = [];
}
