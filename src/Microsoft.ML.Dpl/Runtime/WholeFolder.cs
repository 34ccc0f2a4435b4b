namespace Microsoft.ML.Dpl.Runtime;

/// <summary>A folder of files that is filled whole or not at all: under another name, then renamed.</summary>
internal static class WholeFolder
{
    /// <param name="path">Where it goes: empty or not yet there. Folders above it are made where they are missing.</param>
    /// <param name="write">Given an empty folder; puts files into it and no folders.</param>
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
        // One that is there stays as it is, with its rights, be it a link, a mounted disk or where a shell stands: files are renamed into
        // it.
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
