using System.Globalization;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>A file beside the model that holds its large constants, which no protobuf message of more than 2 GB could: ONNX calls it
/// external data.</summary>
/// <param name="stream">Written from its position on, which is the file's beginning; need not seek.</param>
/// <param name="name">The file's name, without a folder: readers look for it beside the model.</param>
internal sealed class OnnxData(Stream stream, string name)
{
    /// <summary>Constants begin at multiples of it, so that every system can map them into memory: Windows asks for 64 KiB. Smaller ones
    /// stay in the model.</summary>
    public const int Alignment = 1 << 16;

    private long _written;

    /// <summary>Writes a constant's bytes and notes in the constant where they are.</summary>
    public void Append(TensorProto constant, ReadOnlySpan<byte> bytes)
    {
        int padding = (int)(-_written & (Alignment - 1));
        stream.Write(new byte[padding]);
        long offset = _written + padding;
        stream.Write(bytes);
        _written = offset + bytes.Length;
        constant.DataLocation = TensorProto.Types.DataLocation.External;
        foreach (var (key, value) in new[] { ("location", name), ("offset", Text(offset)), ("length", Text(bytes.Length)) })
            constant.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
