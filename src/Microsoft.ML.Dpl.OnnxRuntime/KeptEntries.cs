using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>The entries of a loaded model, for saving it again as it was. They lie in temporary files: ONNX Runtime has the weights in
/// memory already. Thread-safe.</summary>
internal sealed class KeptEntries : IDisposable
{
    private readonly List<(string Name, FileStream File)> _entries = [];

    /// <summary>Copies entries.</summary>
    /// <param name="reader">Our folder of the zip.</param>
    /// <param name="names">Theirs, in the order in which they are saved again.</param>
    /// <exception cref="InvalidDataException">One is missing or too large.</exception>
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

    /// <summary>For <see cref="ModelZipFormat.Write"/>.</summary>
    public (string Name, Action<BinaryWriter> Write)[] Streams =>
        [.. _entries.Select(entry => (entry.Name, (Action<BinaryWriter>)(writer => Read(entry.Name, from =>
                            {
                                from.CopyTo(writer.BaseStream);
                                return true;
                            }))))];

    /// <summary>Reads something of an entry, from its beginning; what goes wrong names the entry.</summary>
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

    /// <summary>A whole entry.</summary>
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
        // Where a file can be used without a name, nothing stays behind a process that is killed.
        if (!OperatingSystem.IsWindows())
            File.Delete(path);
        return file;
    }
}
