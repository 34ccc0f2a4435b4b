using System.Globalization;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>A file next to the model with its large constants, called external data in ONNX: the model itself is a protobuf message, which
/// cannot exceed 2 GB.</summary>
/// <param name="stream">The stream of the file, positioned at its beginning; need not support seeking.</param>
/// <param name="name">The file's name without a folder: ONNX readers look for it next to the model.</param>
internal sealed class OnnxData(Stream stream, string name)
{
    /// <summary>Each constant's offset is a multiple of this many bytes, so that every operating system can memory-map it: Windows requires
    /// 64 KiB. Smaller constants stay in the model.</summary>
    public const int Alignment = 1 << 16;

    private long _written;

    /// <summary>Writes a constant's bytes and records their location in the constant.</summary>
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
