namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Reads labelled images in any format that the command supports: a folder of class folders, a table, or a CoOp split
/// file.</summary>
internal static class ImageData
{
    /// <param name="path">The folder or file.</param>
    /// <param name="columns">The columns to read from a table.</param>
    /// <param name="imageRoot">The folder that relative paths in a table or split file are relative to; null: the file's folder.</param>
    /// <param name="warn">Called with a message if images were left out because their format cannot be read.</param>
    /// <param name="cancellationToken">Cancels the search for images in folders.</param>
    /// <exception cref="FileNotFoundException">There is no file or folder at the path.</exception>
    /// <exception cref="InvalidDataException">The data is in none of these formats; the message names the place.</exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static ImageSets Read(
        string path,
        TableColumns columns,
        string? imageRoot,
        Action<string> warn,
        CancellationToken cancellationToken
    )
    {
        if (Directory.Exists(path))
        {
            var files = new ImageFiles(cancellationToken);
            ImageSets sets = ImageFolder.Read(path, files);
            if (files.LeftOutNote() is { } note)
                warn($"{path}: {note}");
            return sets;
        }
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no file or folder '{path}'.", path);
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".tsv" or ".csv" or ".txt" => ImageTable.Read(path, columns, imageRoot),
            ".json" => SplitFile.Read(path, imageRoot),
            _ => throw new InvalidDataException($"'{path}' is neither a folder, nor a table (.tsv, .csv), nor a split file (.json)."),
        };
    }
}
