using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// The header of a .npy file (NumPy's format, versions 1.0 to 3.0): a magic number, the header's length, and a Python dictionary of type,
/// order and shape. It is believed only after all of it has been checked; nothing in it is evaluated.
/// </summary>
/// <param name="Type">Of the elements, little endian.</param>
/// <param name="IsFortran">Whether the first index runs fastest.</param>
/// <param name="Shape">Empty for a single number.</param>
/// <param name="DataStart">The first byte after the header.</param>
internal sealed record NpyHeader(ScalarType Type, bool IsFortran, IReadOnlyList<long> Shape, int DataStart)
{
    private const int MaximumLength = 1 << 16,
        MaximumDimensions = 32,
        Alignment = 64;
    private const int MagicLength = 6,
        VersionLength = 2;

    private static readonly (string Name, ScalarType Type, int Size)[] Known =
    [
        ("<f4", ScalarType.Float32, 4),
        ("<f8", ScalarType.Float64, 8),
        ("<f2", ScalarType.Float16, 2),
        ("<i8", ScalarType.Int64, 8),
        ("<i4", ScalarType.Int32, 4),
    ];

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Bytes of all elements; they are known to fit 63 bits.</summary>
    public long DataLength => Shape.Aggregate(SizeOf(Type), (bytes, size) => bytes * size);

    /// <param name="bytes">The file.</param>
    /// <param name="location">Its name, for messages.</param>
    /// <exception cref="InvalidDataException">Anything in the header is wrong, or of a kind that is not read.</exception>
    public static NpyHeader Read(ByteStore bytes, string location)
    {
        InvalidDataException Fault(string what) => new($"{location}: {what}.");
        Span<byte> prefix = stackalloc byte[MagicLength + VersionLength + sizeof(uint)];
        int available = (int)Math.Min(bytes.Length, prefix.Length);
        bytes.Read(0, prefix[..available]);
        if (available < MagicLength + VersionLength + sizeof(ushort) || !prefix.StartsWith(Magic))
            throw Fault("this is no .npy file: it does not begin as one");
        (byte major, byte minor) = (prefix[MagicLength], prefix[MagicLength + 1]);
        if (major is < 1 or > 3 || minor != 0)
            throw Fault($"the .npy format has version {major}.{minor}; 1.0, 2.0 and 3.0 can be read");
        ReadOnlySpan<byte> size = prefix[(MagicLength + VersionLength)..available];
        int sizeBytes = major == 1 ? sizeof(ushort) : sizeof(uint);
        if (size.Length < sizeBytes)
            throw Fault("the file ends within its header");
        long length = major == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(size) : BinaryPrimitives.ReadUInt32LittleEndian(size);
        if (length > MaximumLength)
            throw Fault(
                $"a header of {length} bytes is over the {MaximumLength} that are read; this is no array of numbers, or it is damaged"
            );
        int textStart = MagicLength + VersionLength + sizeBytes;
        if (length > bytes.Length - textStart)
            throw Fault($"a header of {length} bytes does not fit the file's {bytes.Length}; it is cut short or damaged");
        byte[] text = new byte[length];
        bytes.Read(textStart, text);
        return Parse((major == 3 ? Encoding.UTF8 : Encoding.Latin1).GetString(text), textStart + (int)length, location);
    }

    /// <summary>The header of an array in C order, version 1.0, padded so that the data begins at a multiple of 64 bytes.</summary>
    /// <exception cref="ArgumentException">The format, or this library's part of it, has no such type.</exception>
    public static byte[] Write(ScalarType type, IReadOnlyList<long> shape)
    {
        string name = Known.Where(known => known.Type == type).Select(known => known.Name).FirstOrDefault()
            ?? throw new ArgumentException(
                $"Arrays of type {type} cannot be written as .npy; use one of {string.Join(", ", Known.Select(known => known.Type))}.",
                nameof(type)
            );
        string sizes = shape.Count == 1 ? $"{shape[0]}," : string.Join(", ", shape);
        string text = string.Create(CultureInfo.InvariantCulture, $"{{'descr': '{name}', 'fortran_order': False, 'shape': ({sizes}), }}");
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

    private static NpyHeader Parse(string text, int dataStart, string location)
    {
        NpyDictionary dictionary = NpyDictionary.Parse(text, MaximumDimensions, location);
        foreach (var (name, type, size) in Known)
        {
            if (name != dictionary.Description)
                continue;
            // Counted without the zeros: strides of an empty array must not overflow either.
            long bytes = size;
            foreach (long count in dictionary.Shape)
            {
                if (count == 0)
                    continue;
                if (Math.BigMul(bytes, count, out bytes) != 0 || bytes < 0)
                    throw new InvalidDataException(
                        $"{location}: an array of shape [{string.Join(", ", dictionary.Shape)}] has more bytes than a file can hold."
                    );
            }
            return new NpyHeader(type, dictionary.IsFortran, dictionary.Shape, dataStart);
        }
        string advice = dictionary.Description.StartsWith('>')
            ? "; save it in little-endian order, for instance with array.astype('<f4')"
            : "";
        throw new InvalidDataException(
            $"{location}: the array is of type '{dictionary.Description}'; only "
                + $"{string.Join(", ", Known.Select(known => known.Name))} can be read{advice}."
        );
    }

    private static long SizeOf(ScalarType type) => Known.First(known => known.Type == type).Size;
}
