using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Keeps the entries of a loaded model, so that it can be saved again unchanged. They are kept in temporary files, because ONNX
/// Runtime already has the weights in memory. Thread-safe.</summary>
internal sealed class KeptEntries : IDisposable
{
    private readonly List<(string Name, FileStream File)> _entries = [];

    /// <summary>Copies the entries to temporary files.</summary>
    /// <param name="reader">The model's folder in the zip.</param>
    /// <param name="names">The entries' names, in the order in which they are saved again.</param>
    /// <exception cref="InvalidDataException">An entry is missing or too large.</exception>
    /// <exception cref="IOException">A temporary file cannot be written.</exception>
    public KeptEntries(ModelReader reader, IEnumerable<string> names)
    {
        try
        {
            foreach (string name in names)
            {
                FileStream file = Temporary();
                _entries.Add((name, file));
                ModelZipFormat.ReadStream(reader, name, from =>
                {
                    from.BaseStream.CopyTo(file);
                    return true;
                });
                file.Flush();
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The entries for <see cref="ModelZipFormat.Write"/>.</summary>
    public (string Name, Action<BinaryWriter> Write)[] Streams =>
        [.. _entries.Select(entry => (entry.Name, (Action<BinaryWriter>)(writer => Read(entry.Name, from =>
                            {
                                from.CopyTo(writer.BaseStream);
                                return true;
                            }))))];

    /// <summary>Reads an entry from its beginning, adding its name to exceptions.</summary>
    /// <exception cref="InvalidDataException">The entry is damaged.</exception>
    public T Read<T>(string name, Func<Stream, T> read)
    {
        FileStream file = _entries.Single(entry => entry.Name == name).File;
        lock (file)
        {
            file.Position = 0;
            return ModelZipFormat.Named(name, () => read(file));
        }
    }

    /// <summary>Reads a whole entry.</summary>
    public byte[] ReadBytes(string name) => Read(name, from =>
        {
            byte[] bytes = new byte[from.Length];
            from.ReadExactly(bytes);
            return bytes;
        });

    public void Dispose()
    {
        foreach (var (_, file) in _entries)
            file.Dispose();
    }

    private static FileStream Temporary()
    {
        string path = Path.GetTempFileName();
        var file = new FileStream(
            path,
            new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                Share = FileShare.Delete,
                Options = FileOptions.DeleteOnClose,
            }
        );
        // On systems where an open file can be deleted, no file is left behind if the process is killed.
        if (!OperatingSystem.IsWindows())
            File.Delete(path);
        return file;
    }
}
