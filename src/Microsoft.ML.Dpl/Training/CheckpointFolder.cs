using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Training;

/// <summary>
/// A folder with the two latest checkpoints of one run: checkpoint-1.safetensors, checkpoint-2.safetensors and so on. Each is written under another name, flushed to the disk and renamed,
/// so that a process killed at any moment leaves a whole one. The folder belongs to one run at a time.
/// </summary>
internal sealed partial class CheckpointFolder : IDisposable
{
    private const string PartialName = "checkpoint.partial", LockName = "workspace.lock";
    private const int Generations = 2;

    private readonly FileStream _lock;
    private readonly HashSet<long> _damaged = [];

    private CheckpointFolder(string folder, FileStream taken) => (FullPath, _lock) = (folder, taken);

    public string FullPath { get; }

    /// <summary>Makes the folder where it is missing, takes it for this run and tries whether it holds that many bytes.</summary>
    /// <exception cref="IOException">It cannot be written, has too little space, or another run has taken it.</exception>
    public static CheckpointFolder Open(string folder, long bytes)
    {
        string full = Path.GetFullPath(folder);
        FileStream? taken = null;
        try
        {
            Directory.CreateDirectory(full);
            taken = new FileStream(Path.Combine(full, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            string probe = Path.Combine(full, PartialName);
            using (FileStream stream = File.Create(probe))
            {
                byte[] block = new byte[1 << 16];
                for (long written = 0; written < bytes; written += block.Length) stream.Write(block);
                stream.Flush(flushToDisk: true);
            }
            File.Delete(probe);
            return new CheckpointFolder(full, taken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            taken?.Dispose();
            throw new IOException($"The workspace '{full}' cannot be used: {e.Message} It must be a folder that can be written, has {(bytes >> 20) + 1} MiB of free space and serves one fit at a time. Set WorkspacePath to such a folder, or to null to go without checkpoints.", e);
        }
    }

    /// <summary>The latest checkpoint that is whole, or null. The caller owns it.</summary>
    /// <param name="warn">Hears of every damaged one.</param>
    public Checkpoint? ReadLatest(Action<string> warn)
    {
        foreach (long number in Numbers().OrderDescending())
        {
            try
            {
                return CheckpointFile.Read(PathOf(number));
            }
            catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                _damaged.Add(number);
                warn($"The checkpoint '{PathOf(number)}' is damaged and passed over for an older one: {e.Message}");
            }
        }
        return null;
    }

    /// <summary>Adds a checkpoint and removes all but the whole one before it.</summary>
    /// <exception cref="IOException">It cannot be written; the earlier ones are as before.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Write(Checkpoint checkpoint)
    {
        long number = Numbers().DefaultIfEmpty(0).Max() + 1;
        string partial = Path.Combine(FullPath, PartialName);
        using (FileStream stream = File.Create(partial))
        {
            CheckpointFile.Write(stream, checkpoint);
            stream.Flush(flushToDisk: true);
        }
        File.Move(partial, PathOf(number));
        long[] kept = [.. Numbers().Where(n => !_damaged.Contains(n)).OrderDescending().Take(Generations)];
        foreach (long old in Numbers().Except(kept).ToArray()) File.Delete(PathOf(old));
    }

    /// <summary>Removes all checkpoints.</summary>
    /// <exception cref="IOException">One cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Clear()
    {
        // The latest last: a process killed in between leaves the state that is furthest on.
        foreach (long number in Numbers().Order().ToArray()) File.Delete(PathOf(number));
        File.Delete(Path.Combine(FullPath, PartialName));
    }

    public void Dispose() => _lock.Dispose();

    private IEnumerable<long> Numbers() => Directory.EnumerateFiles(FullPath, "checkpoint-*.safetensors").Select(path => Numbered().Match(Path.GetFileName(path)))
        .Where(match => match.Success).Select(match => long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));

    private string PathOf(long number) => Path.Combine(FullPath, $"checkpoint-{number.ToString(CultureInfo.InvariantCulture)}.safetensors");

    [GeneratedRegex(@"^checkpoint-([0-9]{1,18})\.safetensors$")]
    private static partial Regex Numbered();
}
