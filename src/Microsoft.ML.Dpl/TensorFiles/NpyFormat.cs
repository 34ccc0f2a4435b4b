using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The header of .npy files, in NumPy's format 1.0. The command-line tool, which writes such files row by row, compiles
/// this file too.</summary>
internal static class NpyFormat
{
    public const int MagicLength = 6,
        VersionLength = 2;

    private const int Alignment = 64;

    public static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>The header of an array in C order, padded so that the data begins at a multiple of 64 bytes.</summary>
    /// <param name="type">The element type as NumPy names it, such as <c>&lt;f4</c>.</param>
    /// <param name="shape">The sizes of the dimensions.</param>
    public static byte[] Header(string type, IReadOnlyList<long> shape)
    {
        string sizes = shape.Count == 1 ? $"{shape[0]}," : string.Join(", ", shape);
        string text = string.Create(CultureInfo.InvariantCulture, $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({sizes}), }}");
        int before = MagicLength + VersionLength + sizeof(ushort),
            total = (before + text.Length + 1 + Alignment - 1) / Alignment * Alignment;
        byte[] header = new byte[total];
        Magic.CopyTo(header);
        header[MagicLength] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(MagicLength + VersionLength), checked((ushort)(total - before)));
        header.AsSpan(before).Fill((byte)' ');
        Encoding.ASCII.GetBytes(text, header.AsSpan(before));
        header[^1] = (byte)'\n';
        return header;
    }
}
