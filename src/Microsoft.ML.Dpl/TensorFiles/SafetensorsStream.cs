using System.Buffers.Binary;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Reads safetensors from a stream of unknown length, such as a compressed entry: front to back, each tensor straight into its own
/// memory, so that nothing is held twice.</summary>
internal static class SafetensorsStream
{
    /// <param name="stream">Read to its end.</param>
    /// <param name="location">Its name, for messages.</param>
    /// <param name="check">Looks at the header before memory is taken for any tensor, and throws where it is not what was expected.</param>
    /// <returns>All tensors by name, on the CPU. The caller owns them; no dispose scope does.</returns>
    /// <exception cref="InvalidDataException">The bytes are no valid safetensors file, or something follows it.</exception>
    /// <exception cref="EndOfStreamException">The stream ends too early.</exception>
    public static Dictionary<string, Tensor> Read(Stream stream, string location, Action<SafetensorsHeader> check)
    {
        SafetensorsHeader header = ReadHeader(stream, location);
        check(header);
        // Where the stream tells its length, no memory is taken for bytes that are not there.
        if (stream.CanSeek && header.DataLength > stream.Length - stream.Position)
            throw new EndOfStreamException(
                $"{location}: the tensors end at byte {header.DataLength}, but {stream.Length - stream.Position} bytes follow the header."
            );
        using var ordinary = inference_mode(false);
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        try
        {
            foreach (string name in header.NamesInOrder())
            {
                long length = header.PlaceOf(name).Length;
                if (length > int.MaxValue)
                    throw new InvalidDataException(
                        $"{location}: tensor '{name}' has {length} bytes; one tensor can have at most {int.MaxValue}."
                    );
                TensorEntry entry = header.Entries[name];
                Tensor tensor = empty([.. entry.Shape], entry.Type, CPU).DetachFromDisposeScope();
                tensors.Add(name, tensor);
                if (length > 0)
                    stream.ReadExactly(tensor.bytes);
            }
            if (stream.ReadByte() >= 0)
                throw new InvalidDataException($"{location}: more bytes follow the last tensor.");
            return tensors;
        }
        catch
        {
            foreach (Tensor tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    private static SafetensorsHeader ReadHeader(Stream stream, string location)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        stream.ReadExactly(prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > SafetensorsHeader.MaximumLength)
            throw new InvalidDataException(
                $"{location}: a header of {length} bytes is over the {SafetensorsHeader.MaximumLength} that safetensors allows; this "
                    + "is no safetensors file, or it is damaged."
            );
        if (stream.CanSeek && (long)length > stream.Length - stream.Position)
            throw new EndOfStreamException(
                $"{location}: a header of {length} bytes does not fit the {stream.Length - stream.Position} that follow."
            );
        byte[] json = new byte[length];
        stream.ReadExactly(json);
        return SafetensorsHeader.Parse(json, dataLength: null, location);
    }
}
