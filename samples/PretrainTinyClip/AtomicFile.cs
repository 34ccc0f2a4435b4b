namespace PretrainTinyClip;

/// <summary>Writes a file under another name and renames it, so that whoever reads it never sees half of it.</summary>
internal static class AtomicFile
{
    public static void Write(string path, Action<Stream> write)
    {
        string partial = $"{path}.partial";
        using (FileStream stream = File.Create(partial))
            write(stream);
        File.Move(partial, path, overwrite: true);
    }
}
