namespace Microsoft.ML.Dpl.Runtime;

/// <summary>A file that is written whole or not at all: beside its place, to the disk itself, then renamed.</summary>
internal static class WholeFile
{
    /// <param name="path">Where it goes; a file there is replaced once the new one is whole, and its folder is made where it is missing.
    /// Several may write the same file at once; the last one's stays.</param>
    /// <param name="write">Given the open file.</param>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, File.Create);

    /// <param name="path">Where it goes.</param>
    /// <param name="write">Given the open file.</param>
    /// <param name="create">Makes the unfinished file.</param>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    internal static void Write(string path, Action<Stream> write, Func<string, FileStream> create)
    {
        string full = Path.GetFullPath(path),
            unfinished = $"{full}.{Guid.NewGuid():n}.partial";
        if (Path.EndsInDirectorySeparator(full) || Directory.Exists(full))
            throw new IOException($"'{path}' is a folder: name a file.");
        string folder = Path.GetDirectoryName(full)!;
        Directory.CreateDirectory(folder);
        try
        {
            using (FileStream stream = create(unfinished))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(unfinished, full, overwrite: true);
            FolderEntries.Flush(folder);
        }
        finally
        {
            File.Delete(unfinished);
        }
    }
}
