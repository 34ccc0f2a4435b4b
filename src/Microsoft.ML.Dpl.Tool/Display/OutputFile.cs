namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>A file that is written whole or not at all.</summary>
internal sealed class OutputFile
{
    private OutputFile(string path) => FullPath = path;

    public string FullPath { get; }

    /// <summary>Tries, before any work begins, whether the file can be written; makes the folder where it is missing.</summary>
    /// <param name="path">Where it is to go; a file there is replaced when the new one is whole.</param>
    /// <param name="option">How the user named it.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static OutputFile Check(string path, string option)
    {
        var file = new OutputFile(Path.GetFullPath(path));
        try
        {
            if (Directory.Exists(file.FullPath)) throw new IOException("it is a folder");
            Directory.CreateDirectory(Path.GetDirectoryName(file.FullPath)!);
            if (File.Exists(file.FullPath)) using (File.Open(file.FullPath, FileMode.Open, FileAccess.ReadWrite)) { }
            string probe = file.Temporary();
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{file.FullPath}' cannot be written: {e.Message.TrimEnd('.')}. Name another file with {option}.", e);
        }
    }

    /// <summary>Lets something be written under another name beside it, and renames that.</summary>
    /// <param name="write">Given the path to write to.</param>
    public void Write(Action<string> write)
    {
        string temporary = Temporary();
        try
        {
            write(temporary);
            File.Move(temporary, FullPath, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private string Temporary() => Path.Combine(Path.GetDirectoryName(FullPath)!, $".{Path.GetFileName(FullPath)}.{Guid.NewGuid():n}.partial");
}
