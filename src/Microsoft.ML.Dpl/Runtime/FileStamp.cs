namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Tells a file from another, and from its own later state, without reading it.</summary>
/// <param name="FullPath">Absolute path.</param>
/// <param name="Length">Bytes.</param>
/// <param name="LastWriteUtc">When it was last written.</param>
internal sealed record FileStamp(string FullPath, long Length, DateTime LastWriteUtc)
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static FileStamp Of(string path)
    {
        // Asked of the open file, because a path may be a link, as in Hugging Face's cache, whose own length says nothing.
        using var file = File.OpenHandle(path);
        return new FileStamp(Path.GetFullPath(path), RandomAccess.GetLength(file), File.GetLastWriteTimeUtc(file));
    }

    /// <exception cref="IOException">The file is another than at the time of this stamp.</exception>
    public void ThrowIfChanged()
    {
        if (Of(FullPath) != this)
            throw new IOException($"{FullPath} has changed since the CLIP was opened; open it again.");
    }
}
