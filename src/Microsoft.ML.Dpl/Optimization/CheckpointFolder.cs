using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>
/// A folder with the two latest checkpoints of one run: checkpoint-1.safetensors, checkpoint-2.safetensors and so on. Each is written under
/// another name, flushed to the disk, renamed, and the folder flushed, so that a process killed at any moment, or a machine without power,
/// leaves a whole one. The folder belongs to one run at a time.
/// </summary>
internal sealed partial class CheckpointFolder : IDisposable
{
    private const string PartialName = "checkpoint.partial",
        LockName = "workspace.lock";
    private const int Generations = 2;

    private readonly FileStream _lock;
    private readonly HashSet<long> _damaged = [];

    private CheckpointFolder(string folder, FileStream taken) => (FullPath, _lock) = (folder, taken);

    /// <summary>Where the checkpoints lie.</summary>
    public string FullPath { get; private set; }

    /// <summary>Makes the folder where it is missing, takes it for this run and tries whether it holds that many bytes.</summary>
    /// <exception cref="IOException">It cannot be written, has too little space, or another run has taken it.</exception>
    public static CheckpointFolder Open(string folder, long bytes)
    {
        string full = Path.GetFullPath(folder);
        FileStream? taken = null;
        try
        {
            Make(full);
            // The lock file stays: one that were deleted could be taken by a second process that had opened it before, while a third takes
            // a new one.
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
                    + $"{(bytes >> 20) + 1} MiB of free space and serves one fit at a time. Set Compute.WorkspacePath to such a folder, or "
                    + "to null to go without checkpoints.",
                e
            );
        }
    }

    /// <summary>From now on the checkpoints lie in a sub-folder, which is made where it is missing.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Enter(string name)
    {
        string folder = Path.Combine(FullPath, name);
        Make(folder);
        FullPath = folder;
    }

    /// <summary>The latest checkpoint that is whole, or null where there is none at all. The caller owns it.</summary>
    /// <param name="warn">The receiver of a warning about every damaged checkpoint for which an earlier one is used.</param>
    /// <exception cref="InvalidDataException">There are checkpoints, and none can be read. They stay as they are.</exception>
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
                // What cannot be read at the moment may be whole.
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
            warn($"The checkpoint '{path}' is damaged or cannot be read and is passed over: {reason.Message}");
        return whole;
    }

    /// <summary>Adds a checkpoint and removes all but the whole one before it.</summary>
    /// <exception cref="IOException">It cannot be written; the earlier ones are as before.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Write(Checkpoint checkpoint) => Write(stream => CheckpointFile.Write(stream, checkpoint));

    /// <param name="content">Writes the file's bytes.</param>
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
    /// <exception cref="IOException">One cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Clear()
    {
        // The latest last: a process killed in between leaves the state that is furthest on.
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

    /// <summary>Writes a file to the disk itself, or none: a full disk is left no fuller.</summary>
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
            // What .NET makes of the system's EFBIG.
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
