using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>What a loaded model needs to be saved again as it was. The graph, as large as the image tower, lies in a temporary file: ONNX
/// Runtime has its weights in memory already. Thread-safe.</summary>
internal sealed class KeptEntries : IDisposable
{
    private readonly byte[] _prompts;
    private readonly FileStream _graph;

    /// <param name="json">The zip's <see cref="ModelZip.DescriptionEntry"/>.</param>
    /// <param name="prompts">Its <see cref="ModelZip.PromptsEntry"/>.</param>
    /// <param name="graph">Its <see cref="OnnxEntries.Graph"/>; not kept.</param>
    /// <exception cref="IOException">The temporary file cannot be written.</exception>
    public KeptEntries(string json, byte[] prompts, byte[] graph)
    {
        (Json, _prompts) = (json, prompts);
        string path = Path.GetTempFileName();
        _graph = new FileStream(
            path,
            new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                Share = FileShare.Delete,
                Options = FileOptions.DeleteOnClose,
            }
        );
        try
        {
            // Where a file can be used without a name, nothing stays behind a process that is killed.
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            _graph.Write(graph);
            _graph.Flush();
        }
        catch
        {
            _graph.Dispose();
            throw;
        }
    }

    /// <summary>The readable part of the model.</summary>
    public string Json { get; }

    public void WritePrompts(BinaryWriter writer) => writer.Write(_prompts);

    public void WriteGraph(Stream stream)
    {
        lock (_graph)
        {
            _graph.Position = 0;
            _graph.CopyTo(stream);
        }
    }

    public void Dispose() => _graph.Dispose();
}
