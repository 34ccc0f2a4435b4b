namespace Microsoft.ML.Dpl.Tests;

/// <summary>Opens files for writing and records their length at every flush to disk.</summary>
internal sealed class FlushLog
{
    private readonly List<(string Path, long Bytes)> _flushes = [];

    /// <summary>The path and length of the file at each flush to disk, in order.</summary>
    public IReadOnlyList<(string Path, long Bytes)> Flushes => _flushes;

    /// <summary>Opens or creates a file and keeps its contents.</summary>
    public FileStream Open(string path) => new Watched(this, path);

    private sealed class Watched(FlushLog log, string path)
        : FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0)
    {
        public override void Flush(bool flushToDisk)
        {
            base.Flush(flushToDisk);
            if (flushToDisk)
                log._flushes.Add((Name, Length));
        }
    }
}
