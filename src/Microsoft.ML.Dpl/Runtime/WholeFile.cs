using System.Runtime.InteropServices;

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

/// <summary>
/// A rename changes a folder, and flushing the file does not flush that: after a power cut the file may be there under its old name, or not
/// at all. On Linux the folder is flushed too: fsync(2). Windows keeps such changes in the file system's journal and has no call for one
/// folder; elsewhere this does nothing.
/// </summary>
internal static class FolderEntries
{
    private const int ReadOnly = 0,
        CloseOnExecute = 0x80000; // O_RDONLY, O_CLOEXEC
    private const int PermissionDenied = 13,
        InvalidArgument = 22; // EACCES, EINVAL

    /// <summary>Returns once the names in the folder are on the disk.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public static void Flush(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        int descriptor = Open(folder, ReadOnly | CloseOnExecute);
        if (descriptor < 0)
        {
            // A folder may be writable and not readable; then this process cannot flush its entries.
            if (Marshal.GetLastPInvokeError() == PermissionDenied)
                return;
            throw Failure("opened", folder);
        }
        try
        {
            // Some network file systems know no fsync of folders and keep entries at once.
            if (Synchronize(descriptor) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
                throw Failure("flushed to the disk", folder);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string what, string folder) =>
        new($"The folder '{folder}' could not be {what}: {Marshal.GetLastPInvokeErrorMessage()}.");

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static extern int Synchronize(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int descriptor);
}

/// <summary>The place for files that can be made again: the user's cache, or a private temporary folder where the cache cannot be
/// written.</summary>
internal static class CacheFolders
{
    /// <summary>Makes a file or folder below the first writable root.</summary>
    /// <param name="make">The maker of the file or folder, given a root; it throws <see cref="IOException"/> or
    /// <see cref="UnauthorizedAccessException"/> where the root is not writable.</param>
    /// <exception cref="IOException">No root can be written.</exception>
    public static T InFirstWritable<T>(Func<string, T> make)
    {
        var refusals = new List<Exception>();
        foreach (string root in Roots())
        {
            try
            {
                return make(Path.Combine(root, "Microsoft.ML.Dpl"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                refusals.Add(e); // a read-only home is common in containers: the next place is tried
            }
        }
        throw new IOException(
            "Neither the user's cache nor the temporary folder can be written. Set XDG_CACHE_HOME to a folder that can.",
            new AggregateException(refusals)
        );
    }

    private static IEnumerable<string> Roots()
    {
        if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache)
            yield return cache;
        if (OperatingSystem.IsWindows())
            yield return Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
        else if (Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } home)
            yield return Path.Combine(home, ".cache");
        // A private, randomly named folder: nobody else can place a library there.
        yield return Directory.CreateTempSubdirectory("dpl-").FullName;
    }
}
