using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>A file that is written atomically. The library has an internal implementation of its own, but that can neither test the
/// location before hours of work nor remove what a second Ctrl-C leaves behind.</summary>
internal sealed class OutputFile
{
    private const int MostAttempts = 10;

    // Held while files are renamed into place, and never released by the thread that ends the process.
    private static readonly Lock Naming = new();
    private static readonly HashSet<string> Unfinished = new(StringComparer.Ordinal);

    private OutputFile(string path) => FullPath = path;

    public string FullPath { get; private set; }

    /// <summary>Checks, before any work begins, whether the file can be written; creates the folder if it is missing.</summary>
    /// <param name="path">Where to write; an existing file is replaced once the new one is complete.</param>
    /// <param name="option">The option that the path was given with, for messages.</param>
    /// <param name="inputs">Files and folders that the command reads, which must not be replaced.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ArgumentException">The path is one of the inputs.</exception>
    public static OutputFile Check(string path, string option, params IEnumerable<string> inputs)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw new ArgumentException($"{option} is empty: name a file.");
        var file = new OutputFile(Path.GetFullPath(path));
        if (inputs.FirstOrDefault(input => Path.GetFullPath(input) == file.FullPath) is { } read)
            throw new ArgumentException($"{option} would replace '{read}', which the command reads: name another file.");
        string probe = file.Temporary();
        try
        {
            if (Directory.Exists(file.FullPath))
                throw new IOException("it is a folder");
            Directory.CreateDirectory(Path.GetDirectoryName(file.FullPath)!);
            if (File.Exists(file.FullPath))
                using (File.Open(file.FullPath, FileMode.Open, FileAccess.ReadWrite)) { }
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{file.Refusal(e, probe)} Name another file with {option}.", e);
        }
    }

    /// <summary>Removes unfinished files, and ends the process before any other file is put in place.</summary>
    /// <param name="end">Ends the process and does not return.</param>
    public static void Abandon(Action end)
    {
        lock (Naming)
        {
            foreach (string temporary in Unfinished)
            {
                // Other threads go on writing meanwhile, and may create another file in a folder that is being removed.
                for (int attempt = 0; attempt < MostAttempts; attempt++)
                {
                    try
                    {
                        Remove(temporary);
                        break;
                    }
                    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                    {
                        // Windows does not delete open files; the .partial file is then left behind.
                        continue;
                    }
                }
            }
            end();
        }
    }

    /// <summary>Runs a short operation that a second Ctrl-C must not cut off: ending the process waits for it.</summary>
    public static void Undisturbed(Action work)
    {
        lock (Naming)
            work();
    }

    /// <summary>Writes to a temporary name in the same folder and then renames it.</summary>
    /// <param name="write">
    /// Called with the path to write to. If it creates a folder there, the files in it are moved to this file's folder, the one with this
    /// file's name last, since the others belong to it.
    /// </param>
    /// <exception cref="IOException">The file cannot be written; the message names the final path.</exception>
    public void Write(Action<string> write) => Write(write, FlushToDisk, FolderEntries.Flush);

    /// <param name="write">Called with the path to write to, as in the public overload.</param>
    /// <param name="flush">Flushes a file to disk; called for each file before it is renamed.</param>
    /// <param name="flushFolder">Flushes a folder to disk; called after the renaming.</param>
    internal void Write(Action<string> write, Action<string> flush, Action<string> flushFolder)
    {
        string temporary = Temporary();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(FullPath)!);
            lock (Naming)
                Unfinished.Add(temporary);
            write(temporary);
            // Without a flush, a renamed file may be empty after a power cut, and checkpoints are deleted once it has its name.
            foreach (string file in Directory.Exists(temporary) ? Directory.GetFiles(temporary) : [temporary])
                flush(file);
            lock (Naming)
                Place(temporary);
            flushFolder(Path.GetDirectoryName(FullPath)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException(Refusal(e, temporary), e);
        }
        finally
        {
            lock (Naming)
            {
                Unfinished.Remove(temporary);
                Remove(temporary);
            }
        }
    }

    /// <summary>Like <see cref="Write(Action{string})"/>, for the result of hours of work: if the file cannot be written, for instance
    /// because the disk is full by now, it is written to the folder for temporary files.</summary>
    /// <param name="write">Called with the path to write to, possibly twice.</param>
    /// <returns>Whether the file is in its intended place; otherwise <see cref="FullPath"/> is the path it was written to, and the user has
    /// been told.</returns>
    /// <exception cref="IOException">The file can be written in neither place.</exception>
    public bool WriteSomewhere(Action<string> write)
    {
        try
        {
            Write(write);
            return true;
        }
        catch (IOException e)
        {
            string folder = Directory.CreateTempSubdirectory("dpl-").FullName;
            var other = new OutputFile(Path.Combine(folder, Path.GetFileName(FullPath)));
            try
            {
                other.Write(write);
            }
            catch (IOException second)
            {
                throw new IOException($"{e.Message} It could not be kept elsewhere either: {second.Message}", e);
            }
            FullPath = other.FullPath;
            Terminal.Fail($"{e.Message} It was kept as '{FullPath}' instead.");
            return false;
        }
    }

    private static void FlushToDisk(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        stream.Flush(flushToDisk: true);
    }

    private void Place(string temporary)
    {
        if (!Directory.Exists(temporary))
        {
            File.Move(temporary, FullPath, overwrite: true);
            return;
        }
        string folder = Path.GetDirectoryName(FullPath)!,
            name = Path.GetFileName(FullPath);
        foreach (string file in Directory.GetFiles(temporary).Select(file => Path.GetFileName(file)).OrderBy(file => file == name))
            File.Move(Path.Combine(temporary, file), Path.Combine(folder, file), overwrite: true);
    }

    private static void Remove(string temporary)
    {
        if (Directory.Exists(temporary))
            Directory.Delete(temporary, recursive: true);
        else if (File.Exists(temporary))
            File.Delete(temporary);
    }

    private string Refusal(Exception cause, string temporary)
    {
        string message = cause
            .Message.Replace(
                temporary + Path.DirectorySeparatorChar,
                Path.GetDirectoryName(FullPath) + Path.DirectorySeparatorChar,
                StringComparison.Ordinal
            )
            .Replace(temporary, FullPath, StringComparison.Ordinal);
        return $"'{FullPath}' cannot be written: {message.TrimEnd('.')}.";
    }

    private string Temporary() =>
        Path.Combine(Path.GetDirectoryName(FullPath)!, $".{Path.GetFileName(FullPath)}.{Guid.NewGuid():n}.partial");
}
