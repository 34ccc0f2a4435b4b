using System.Security.Cryptography;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The entries of a model zip that ONNX Runtime needs for scoring: the image preprocessing, the graph from pixels to
/// probabilities, and the graph's SHA-256.</summary>
internal static class OnnxEntries
{
    internal const string Graph = "model.onnx",
        Digest = "model.onnx.sha256";

    /// <summary>All entries, in the order in which they are written.</summary>
    public static IReadOnlyList<string> Names { get; } = [ClipEntries.Preprocessor, Graph, Digest];

    /// <summary>The largest possible size of a protobuf message, in bytes.</summary>
    internal const long LargestGraph = int.MaxValue;

    private const int DigestLength = 64;

    /// <summary>Creates the entries that <see cref="ModelZipFormat.Write"/> writes.</summary>
    /// <param name="preprocessing">The image preprocessing.</param>
    /// <param name="write">Writes the graph at the stream's current position and leaves the stream open.</param>
    public static IReadOnlyList<(string Name, Action<BinaryWriter> Write)> Create(
        ClipImageProcessorConfig preprocessing,
        Action<Stream> write
    )
    {
        byte[] preprocessor = ClipJson.Serialize(preprocessing);
        byte[] digest = [];
        return [(ClipEntries.Preprocessor, writer => writer.Write(preprocessor)), (Graph, writer =>
            {
                using var hash = SHA256.Create();
                using (var hashing = new CryptoStream(writer.BaseStream, hash, CryptoStreamMode.Write, leaveOpen: true))
                    write(hashing);
                digest = hash.Hash!;
            }), (Digest, writer => writer.Write(System.Text.Encoding.ASCII.GetBytes(Sha256.Shown(digest))))];
    }

    /// <summary>Reads the graph.</summary>
    /// <param name="read">Reads a whole entry, given its name.</param>
    /// <exception cref="InvalidDataException">The graph or its SHA-256 is damaged; the message names the entry.</exception>
    public static byte[] ReadGraph(Func<string, byte[]> read)
    {
        byte[] graph = read(Graph);
        string expected = System.Text.Encoding.ASCII.GetString(read(Digest));
        if (expected.Length != DigestLength)
            throw new InvalidDataException($"The entry '{Digest}' of the model zip is not an SHA-256. Copy or save the model again.");
        if (Sha256.Compute(graph) != expected)
            throw new InvalidDataException(
                $"The entry '{Graph}' of the model zip does not match the SHA-256 saved with it, so it is damaged. Copy or save the model "
                    + "again."
            );
        return graph;
    }
}
