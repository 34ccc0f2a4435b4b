using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Writes tensors as one safetensors file; equal content gives equal bytes, whatever order it comes in.</summary>
internal static class SafetensorsWriter
{
    private const int HeaderAlignment = 8;

    /// <summary>Writes at the stream's position and leaves it open. Tensors may lie on any device; they stay the caller's.</summary>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or a tensor's type is not one of the format's.</exception>
    public static void Write(
        Stream stream,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        // Wide elements first keep every tensor aligned to its own element size.
        KeyValuePair<string, Tensor>[] ordered =
        [
            .. tensors.OrderByDescending(t => SafetensorsType.SizeOf(t.Value.dtype)).ThenBy(t => t.Key, StringComparer.Ordinal),
        ];
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataName };
        foreach (string name in ordered.Select(t => t.Key))
            if (!names.Add(name))
                throw new ArgumentException($"Tensor name '{name}' is reserved or occurs twice.", nameof(tensors));

        byte[] header = Header(ordered, metadata ?? new Dictionary<string, string>());
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (Tensor tensor in ordered.Select(t => t.Value))
            WriteData(stream, tensor);
    }

    private static byte[] Header(KeyValuePair<string, Tensor>[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsHeader.MetadataName);
                foreach (var (name, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(name, value);
                json.WriteEndObject();
            }
            long offset = 0;
            foreach (var (name, tensor) in tensors)
            {
                long end = offset + tensor.NumberOfElements * SafetensorsType.SizeOf(tensor.dtype);
                json.WriteStartObject(name);
                json.WriteString("dtype", SafetensorsType.NameOf(tensor.dtype));
                WriteNumbers(json, "shape", tensor.shape);
                WriteNumbers(json, "data_offsets", offset, end);
                json.WriteEndObject();
                offset = end;
            }
            json.WriteEndObject();
        }
        int padded = (buffer.WrittenCount + HeaderAlignment - 1) / HeaderAlignment * HeaderAlignment;
        byte[] header = new byte[padded];
        header.AsSpan().Fill((byte)' ');
        buffer.WrittenSpan.CopyTo(header);
        return header;
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, params long[] numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        if (tensor.NumberOfElements == 0)
            return;
        using var scope = NewDisposeScope();
        stream.Write(tensor.detach().cpu().contiguous().bytes);
    }
}
