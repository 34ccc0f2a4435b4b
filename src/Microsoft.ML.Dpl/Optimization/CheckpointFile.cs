using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The content of a checkpoint: named texts and tensors.</summary>
/// <param name="Texts">Texts by name, for example the name and the state of the stage.</param>
/// <param name="Tensors">Tensors by name, which this object disposes; <see cref="CheckpointFile.Read"/> creates them on the CPU, detached
/// from dispose scopes.</param>
internal sealed record Checkpoint(IReadOnlyDictionary<string, string> Texts, IReadOnlyDictionary<string, Tensor> Tensors) : IDisposable
{
    public void Dispose()
    {
        foreach (Tensor value in Tensors.Values)
            value.Dispose();
    }
}

/// <summary>A checkpoint as a safetensors file, with the texts as metadata and a SHA-256 over everything to detect damage.</summary>
internal static class CheckpointFile
{
    private const string DigestName = "sha256";

    /// <summary>Options for the texts: a loss may be infinite or NaN, which standard JSON cannot represent.</summary>
    public static JsonSerializerOptions Json { get; } = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    public static void Write(Stream stream, Checkpoint checkpoint)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = checkpoint.Tensors.ToDictionary(t => t.Key, t => t.Value.detach().cpu().contiguous());
        var texts = new Dictionary<string, string>(checkpoint.Texts) { [DigestName] = Digest(checkpoint.Texts, tensors) };
        SafetensorsWriter.Write(stream, tensors, texts);
    }

    /// <summary>Reads and verifies a whole file. The caller owns the result.</summary>
    /// <exception cref="InvalidDataException">The file is truncated, modified or not a checkpoint.</exception>
    public static Checkpoint Read(string path)
    {
        // Read into memory, so that the file can be replaced while its content is in use.
        using SafetensorsFile file = SafetensorsFile.FromBytes(File.ReadAllBytes(path), path);
        var tensors = new Dictionary<string, Tensor>();
        try
        {
            foreach (string name in file.Entries.Keys)
                tensors.Add(name, file.Read(name).DetachFromDisposeScope());
            Dictionary<string, string> texts = file
                .Metadata.Where(text => text.Key != DigestName)
                .ToDictionary(text => text.Key, text => text.Value);
            if (!file.Metadata.TryGetValue(DigestName, out string? digest) || digest != Digest(texts, tensors))
                throw new InvalidDataException($"{path}: the content does not match its SHA-256.");
            return new Checkpoint(texts, tensors);
        }
        catch
        {
            foreach (Tensor value in tensors.Values)
                value.Dispose();
            throw;
        }
    }

    private static string Digest(IReadOnlyDictionary<string, string> texts, Dictionary<string, Tensor> tensors)
    {
        using var hash = new Sha256();
        void Append(ReadOnlySpan<byte> bytes)
        {
            hash.Append(BitConverter.GetBytes(bytes.Length));
            hash.Append(bytes);
        }
        foreach (var (name, text) in texts.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            Append(Encoding.UTF8.GetBytes(name));
            Append(Encoding.UTF8.GetBytes(text));
        }
        foreach (var (name, value) in tensors.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            Append(Encoding.UTF8.GetBytes($"{name} {value.dtype} {string.Join(' ', value.shape)}"));
            Append(value.NumberOfElements == 0 ? default : value.bytes);
        }
        return hash.Finish();
    }
}
