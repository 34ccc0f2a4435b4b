namespace Microsoft.ML.Dpl.Tests;

/// <summary>Opens files for writing and remembers how many bytes they had when they were flushed to the disk itself.</summary>
internal sealed class FlushLog
{
    private readonly List<(string Path, long Bytes)> _flushes = [];

    /// <summary>Name and length of a file at each flush to the disk, in their order.</summary>
    public IReadOnlyList<(string Path, long Bytes)> Flushes => _flushes;

    /// <summary>Opens a file, or makes it; what is in it stays.</summary>
    public FileStream Open(string path) => new Watched(this, path);

    private sealed class Watched(FlushLog log, string path)
        : FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0)
    {
        public override void Flush(bool flushToDisk)
        {
            base.Flush(flushToDisk);
            if (flushToDisk) log._flushes.Add((Name, Length));
        }
    }
}
