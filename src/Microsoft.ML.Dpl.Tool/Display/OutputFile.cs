using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>A file that is written whole or not at all. The library's own way is internal to it, and could neither test the place before
/// hours of work nor remove what a second Ctrl-C leaves.</summary>
internal sealed class OutputFile
{
    private const int MostAttempts = 10;

    // Held while files get their names, and for good by whoever ends the process.
    private static readonly Lock Naming = new();
    private static readonly HashSet<string> Unfinished = new(StringComparer.Ordinal);

    private OutputFile(string path) => FullPath = path;

    public string FullPath { get; private set; }

    /// <summary>Tries, before any work begins, whether the file can be written; makes the folder where it is missing.</summary>
    /// <param name="path">Where it is to go; a file there is replaced when the new one is whole.</param>
    /// <param name="option">How the user named it.</param>
    /// <param name="inputs">What the command reads; none of it is to be replaced.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="ArgumentException">It is one of the inputs.</exception>
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

    /// <summary>Removes what is half written, and ends the process before anything else is.</summary>
    /// <param name="end">Does not return.</param>
    public static void Abandon(Action end)
    {
        lock (Naming)
        {
            foreach (string temporary in Unfinished)
            {
                // Whoever writes goes on meanwhile, and may put another file into a folder that is being removed.
                for (int attempt = 0; attempt < MostAttempts; attempt++)
                {
                    try
                    {
                        Remove(temporary);
                        break;
                    }
                    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                    {
                        // Windows deletes no open file; the name says what it is.
                        continue;
                    }
                }
            }
            end();
        }
    }

    /// <summary>Does what takes a moment and leaves nothing half done unless it is cut off: a second Ctrl-C waits for it.</summary>
    public static void Undisturbed(Action work)
    {
        lock (Naming)
            work();
    }

    /// <summary>Lets something be written under another name beside it, and renames that.</summary>
    /// <param name="write">
    /// Given the path to write to. Where it makes that a folder, the files in it go to the folder that this file lies in, the one of this
    /// file's name last: the others belong to it.
    /// </param>
    /// <exception cref="IOException">It cannot be written; the message names the file itself.</exception>
    public void Write(Action<string> write) => Write(write, FlushToDisk, FolderEntries.Flush);

    /// <param name="write">As above.</param>
    /// <param name="flush">Given each file before it gets its name.</param>
    /// <param name="flushFolder">Given the folder after that.</param>
    internal void Write(Action<string> write, Action<string> flush, Action<string> flushFolder)
    {
        string temporary = Temporary();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(FullPath)!);
            lock (Naming)
                Unfinished.Add(temporary);
            write(temporary);
            // A renamed file may be empty after a power cut, and checkpoints are deleted once it has its name.
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

    /// <summary>The same for what was hours of work: where it cannot be written, because the disk is full by now, say, it goes into the
    /// folder for temporary files.</summary>
    /// <param name="write">Given the path to write to; perhaps called twice.</param>
    /// <returns>Whether it is where it was to be; else <see cref="FullPath"/> is where it went, and the user was told.</returns>
    /// <exception cref="IOException">It can be written in neither place.</exception>
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
                throw new IOException($"{e.Message} Nor could it be kept elsewhere: {second.Message}", e);
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
