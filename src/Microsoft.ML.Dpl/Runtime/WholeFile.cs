namespace Microsoft.ML.Dpl.Runtime;

/// <summary>A file that is written whole or not at all: beside its place, to the disk itself, then renamed.</summary>
internal static class WholeFile
{
    /// <param name="path">The destination; a file there is replaced once the new one is complete, and a missing folder is made. Several
    /// writers may write the same file at once; the content of the last one stays.</param>
    /// <param name="write">The writer of the content, given the open file.</param>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, File.Create);

    /// <param name="path">The destination.</param>
    /// <param name="write">The writer of the content, given the open file.</param>
    /// <param name="create">The maker of the unfinished file, given its path.</param>
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

/// <summary>A folder of files that is filled whole or not at all: under another name, then renamed.</summary>
internal static class WholeFolder
{
    /// <param name="path">The destination: an empty folder, or a path where nothing is yet. Missing parent folders are made.</param>
    /// <param name="write">The writer of the files, given an empty folder, in which it makes no folders.</param>
    /// <exception cref="IOException">There is something in the folder, or the place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public static void Write(string path, Action<string> write)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)),
            unique = $"{Guid.NewGuid():n}.partial";
        if (File.Exists(full))
            throw new IOException($"'{path}' is a file: name a folder.");
        bool isThere = Directory.Exists(full);
        if (isThere && Directory.EnumerateFileSystemEntries(full).Any())
            throw new IOException($"The folder '{path}' is not empty. Name another, or remove what is in it.");
        // A folder that is there keeps its rights, and may be a link, a mounted disk or a shell's current folder: the files are renamed
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
