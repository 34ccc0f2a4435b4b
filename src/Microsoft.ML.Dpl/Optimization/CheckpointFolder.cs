using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>
/// A folder with the two latest checkpoints of a run, numbered checkpoint-1.safetensors, checkpoint-2.safetensors and so on. Each is
/// written under a temporary name, flushed to disk and renamed, and the folder is flushed too, so that an intact checkpoint remains
/// whenever the process is killed or the power fails. Only one run at a time can use the folder.
/// </summary>
internal sealed partial class CheckpointFolder : IDisposable
{
    private const string PartialName = "checkpoint.partial",
        LockName = "workspace.lock";
    private const int Generations = 2;

    private readonly FileStream _lock;
    private readonly HashSet<long> _damaged = [];

    private CheckpointFolder(string folder, FileStream taken) => (FullPath, _lock) = (folder, taken);

    /// <summary>The folder of the checkpoints.</summary>
    public string FullPath { get; private set; }

    /// <summary>
    /// Creates the folder if it is missing, locks it for this run and checks that it has room for the given number of bytes.
    /// </summary>
    /// <exception cref="IOException">The folder cannot be written, has too little space, or is locked by another run.</exception>
    public static CheckpointFolder Open(string folder, long bytes)
    {
        string full = Path.GetFullPath(folder);
        FileStream? taken = null;
        try
        {
            Make(full);
            // The lock file is never deleted: otherwise one process could lock a deleted file that it had opened before, while another
            // locks a new one.
            taken = new FileStream(
                Path.Combine(full, LockName),
                FileMode.OpenOrCreate,
                FileAccess.ReadWrite,
                FileShare.None,
                bufferSize: 1
            );
            string probe = Path.Combine(full, PartialName);
            WriteWhole(probe, stream =>
            {
                byte[] block = new byte[1 << 16];
                for (long written = 0; written < bytes; written += block.Length)
                    stream.Write(block);
            });
            File.Delete(probe);
            return new CheckpointFolder(full, taken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            taken?.Dispose();
            throw new IOException(
                $"The workspace '{full}' cannot be used: {e.Message.TrimEnd('.')}. It must be a folder that can be written, has "
                    + $"{(bytes >> 20) + 1} MiB of free space and is used by one fit at a time. Set Compute.WorkspacePath to such a "
                    + "folder, or to null to go without checkpoints.",
                e
            );
        }
    }

    /// <summary>Switches to a sub-folder for all further checkpoints, creating it if it is missing.</summary>
    /// <exception cref="IOException">The sub-folder cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The sub-folder cannot be created.</exception>
    public void Enter(string name)
    {
        string folder = Path.Combine(FullPath, name);
        Make(folder);
        FullPath = folder;
    }

    /// <summary>The latest intact checkpoint, or null if there are no checkpoints at all. The caller owns it.</summary>
    /// <param name="warn">Receives a warning for every unreadable checkpoint that is skipped in favour of an earlier one.</param>
    /// <exception cref="InvalidDataException">There are checkpoints, but none can be read. They are left unchanged.</exception>
    public Checkpoint? ReadLatest(Action<string> warn)
    {
        var failures = new List<(string Path, Exception Reason)>();
        Checkpoint? whole = null;
        foreach (long number in Numbers().OrderDescending().ToArray())
        {
            try
            {
                whole = CheckpointFile.Read(PathOf(number));
                break;
            }
            catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                // A file that merely cannot be read now may still be intact.
                if (e is InvalidDataException)
                    _damaged.Add(number);
                failures.Add((PathOf(number), e));
            }
        }
        if (whole is null && failures.Count > 0)
        {
            throw new InvalidDataException(
                $"The workspace '{FullPath}' holds an interrupted fit, and none of its checkpoints can be read. Nothing was changed. "
                    + "Put the files back from a copy, choose another Compute.WorkspacePath, or delete "
                    + "the folder's checkpoint-*.safetensors to start over. "
                    + $"{string.Join("; ", failures.Select(failure => $"'{failure.Path}': {failure.Reason.Message.TrimEnd('.')}"))}.",
                new AggregateException(failures.Select(failure => failure.Reason))
            );
        }
        foreach (var (path, reason) in failures)
            warn($"The checkpoint '{path}' is damaged or cannot be read, and is skipped: {reason.Message}");
        return whole;
    }

    /// <summary>Adds a checkpoint and removes all earlier ones but the latest intact one.</summary>
    /// <exception cref="IOException">The checkpoint cannot be written; the earlier ones are unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">The checkpoint cannot be written; the earlier ones are unchanged.</exception>
    public void Write(Checkpoint checkpoint) => Write(stream => CheckpointFile.Write(stream, checkpoint));

    /// <param name="content">Writes the content of the file.</param>
    /// <inheritdoc cref="Write(Checkpoint)"/>
    internal void Write(Action<Stream> content)
    {
        long number = Numbers().DefaultIfEmpty(0).Max() + 1;
        string partial = Path.Combine(FullPath, PartialName);
        WriteWhole(partial, content);
        File.Move(partial, PathOf(number));
        FolderEntries.Flush(FullPath);
        long[] kept = [.. Numbers().Where(n => !_damaged.Contains(n)).OrderDescending().Take(Generations)];
        foreach (long old in Numbers().Except(kept).ToArray())
            File.Delete(PathOf(old));
    }

    /// <summary>Removes all checkpoints.</summary>
    /// <exception cref="IOException">A checkpoint cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">A checkpoint cannot be removed.</exception>
    public void Clear()
    {
        // The latest is deleted last, so that a process killed in between leaves the most advanced state.
        foreach (long number in Numbers().Order().ToArray())
            File.Delete(PathOf(number));
        File.Delete(Path.Combine(FullPath, PartialName));
    }

    public void Dispose() => _lock.Dispose();

    private static void Make(string folder)
    {
        if (Directory.Exists(folder))
            return;
        Directory.CreateDirectory(folder);
        if (Path.GetDirectoryName(folder) is { } parent)
            FolderEntries.Flush(parent);
    }

    /// <summary>Writes a file and flushes it to disk; on failure the file is deleted, so that a full disk does not become fuller.</summary>
    private static void WriteWhole(string path, Action<Stream> write)
    {
        try
        {
            using FileStream stream = File.Create(path);
            write(stream);
            stream.Flush(flushToDisk: true);
        }
        catch (Exception e)
        {
            File.Delete(path);
            // .NET reports the error EFBIG as this exception.
            if (e is ArgumentOutOfRangeException)
                throw new IOException($"The file '{path}' became larger than the file system, or a limit on the size of files, allows.", e);
            throw;
        }
    }

    private IEnumerable<long> Numbers() =>
        Directory
            .EnumerateFiles(FullPath, "checkpoint-*.safetensors")
            .Select(path => Numbered().Match(Path.GetFileName(path)))
            .Where(match => match.Success)
            .Select(match => long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));

    private string PathOf(long number) => Path.Combine(FullPath, $"checkpoint-{number.ToString(CultureInfo.InvariantCulture)}.safetensors");

    [GeneratedRegex(@"^checkpoint-([0-9]{1,18})\.safetensors$")]
    private static partial Regex Numbered();
}
