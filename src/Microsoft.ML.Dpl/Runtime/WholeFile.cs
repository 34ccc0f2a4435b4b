namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Writes a file completely or not at all: under a temporary name beside the destination, flushed to disk, then renamed.</summary>
internal static class WholeFile
{
    /// <param name="path">The destination; an existing file is replaced once the new one is complete, and a missing folder is created.
    /// Several writers may write the same file at once; the last one to finish wins.</param>
    /// <param name="write">Writes the content to the open file.</param>
    /// <exception cref="IOException">The destination cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The destination cannot be written.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, File.Create);

    /// <param name="path">The destination.</param>
    /// <param name="write">Writes the content to the open file.</param>
    /// <param name="create">Creates the unfinished file, given its path.</param>
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

/// <summary>Fills a folder with files completely or not at all: under a temporary name, then renamed.</summary>
internal static class WholeFolder
{
    /// <param name="path">The destination: an empty folder, or a path that does not exist. Missing parent folders are created.</param>
    /// <param name="write">Writes the files into an empty folder; must not create sub-folders.</param>
    /// <exception cref="IOException">The folder is not empty, or the destination cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the destination is denied.</exception>
    public static void Write(string path, Action<string> write)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)),
            unique = $"{Guid.NewGuid():n}.partial";
        if (File.Exists(full))
            throw new IOException($"'{path}' is a file: name a folder.");
        bool isThere = Directory.Exists(full);
        if (isThere && Directory.EnumerateFileSystemEntries(full).Any())
            throw new IOException($"The folder '{path}' is not empty. Name another, or remove what is in it.");
        // An existing folder may be a link, a mount point or a shell's current folder and must keep its permissions: the files are moved
        // into it.
        string unfinished = isThere ? Path.Combine(full, $".{unique}") : $"{full}.{unique}";
        try
        {
            Directory.CreateDirectory(unfinished);
            write(unfinished);
            FolderEntries.Flush(unfinished);
            if (isThere)
                MoveInto(full, unfinished);
            else
                Directory.Move(unfinished, full);
            FolderEntries.Flush(isThere ? full : Path.GetDirectoryName(full)!);
        }
        finally
        {
            if (Directory.Exists(unfinished))
                Directory.Delete(unfinished, recursive: true);
        }
    }

    private static void MoveInto(string folder, string unfinished)
    {
        var moved = new List<string>();
        try
        {
            foreach (string file in Directory.GetFiles(unfinished))
            {
                string place = Path.Combine(folder, Path.GetFileName(file));
                File.Move(file, place);
                moved.Add(place);
            }
        }
        catch
        {
            moved.ForEach(File.Delete);
            throw;
        }
    }
}
