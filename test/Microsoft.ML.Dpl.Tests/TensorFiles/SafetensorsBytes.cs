using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

/// <summary>Makes safetensors files in memory, well formed or not.</summary>
internal static class SafetensorsBytes
{
    public static byte[] Raw(string header, int dataLength) => Raw(Encoding.UTF8.GetBytes(header), dataLength);

    public static byte[] Raw(byte[] header, int dataLength)
    {
        byte[] bytes = new byte[8 + header.Length + dataLength];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes, 8);
        return bytes;
    }

    public static byte[] Write(IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, tensors, metadata);
        return stream.ToArray();
    }

    /// <summary>Writes a copy of a file with each tensor replaced by what <paramref name="change"/> returns, which is disposed; null drops
    /// the tensor.</summary>
    public static void Rewrite(string source, string destination, Func<string, Tensor, Tensor?> change)
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(source);
        var changed = new Dictionary<string, Tensor>();
        foreach (string name in file.Entries.Keys)
            if (change(name, file.Read(name)) is Tensor tensor)
                changed.Add(name, tensor);
        File.WriteAllBytes(destination, Write(changed));
    }
}
