namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Reads labelled images in any of the forms that the command knows: a folder of class folders, a table, a split file of
/// CoOp.</summary>
internal static class ImageData
{
    /// <param name="path">The folder or file.</param>
    /// <param name="columns">Of a table.</param>
    /// <param name="imageRoot">Where relative paths of a table or split file start; null: the file's folder.</param>
    /// <param name="warn">Is told of images of kinds that cannot be read.</param>
    /// <param name="cancellationToken">Ends the search for images in folders.</param>
    /// <exception cref="FileNotFoundException">There is nothing at the path.</exception>
    /// <exception cref="InvalidDataException">It is in none of the forms; the message names the place.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
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
