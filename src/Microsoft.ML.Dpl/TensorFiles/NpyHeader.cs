using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// The header of a .npy file (NumPy's format, versions 1.0 to 3.0): a magic number, the header's length, and a Python dictionary with type,
/// order and shape. It is used only after all of it has been validated; nothing in it is evaluated.
/// </summary>
/// <param name="Type">The type of the elements, which are little endian.</param>
/// <param name="IsFortran">Whether the first index varies fastest.</param>
/// <param name="Shape">The sizes; empty for a single number.</param>
/// <param name="DataStart">Offset of the first byte after the header.</param>
internal sealed record NpyHeader(ElementType Type, bool IsFortran, IReadOnlyList<long> Shape, int DataStart)
{
    private const int MaximumLength = 1 << 16,
        MaximumDimensions = 32;
    private const int MagicLength = NpyFormat.MagicLength,
        VersionLength = NpyFormat.VersionLength;

    private static readonly (string Name, ElementType Type, int Size)[] Known =
    [
        ("<f4", ElementType.Float32, 4),
        ("<f8", ElementType.Float64, 8),
        ("<f2", ElementType.Float16, 2),
        ("<i8", ElementType.Int64, 8),
        ("<i4", ElementType.Int32, 4),
    ];

    /// <summary>Size of all elements in bytes; validated to fit into 63 bits.</summary>
    public long DataLength => Shape.Aggregate(SizeOf(Type), (bytes, size) => bytes * size);

    /// <param name="bytes">The file.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <exception cref="InvalidDataException">The header is invalid or of an unsupported kind.</exception>
    public static NpyHeader Read(ByteStore bytes, string location)
    {
        InvalidDataException Fault(string what) => new($"{location}: {what}.");
        Span<byte> prefix = stackalloc byte[MagicLength + VersionLength + sizeof(uint)];
        int available = (int)Math.Min(bytes.Length, prefix.Length);
        bytes.Read(0, prefix[..available]);
        if (available < MagicLength + VersionLength + sizeof(ushort) || !prefix.StartsWith(NpyFormat.Magic))
            throw Fault("this is not a .npy file: it does not begin like one");
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
                $"a header of {length} bytes is over the {MaximumLength} that are read; this is not an array of numbers, or it is damaged"
            );
        int textStart = MagicLength + VersionLength + sizeBytes;
        if (length > bytes.Length - textStart)
            throw Fault($"a header of {length} bytes does not fit the file's {bytes.Length}; it is cut short or damaged");
        byte[] text = new byte[length];
        bytes.Read(textStart, text);
        return Parse((major == 3 ? Encoding.UTF8 : Encoding.Latin1).GetString(text), textStart + (int)length, location);
    }

    /// <summary>The header of an array in C order, version 1.0, padded so that the data begins at a multiple of 64 bytes.</summary>
    /// <exception cref="ArgumentException">The format or this library does not support the type.</exception>
    public static byte[] Write(ElementType type, IReadOnlyList<long> shape)
    {
        string name = Known.Where(known => known.Type == type).Select(known => known.Name).FirstOrDefault()
            ?? throw new ArgumentException(
                $"Arrays of type {type} cannot be written as .npy; use one of {string.Join(", ", Known.Select(known => known.Type))}.",
                nameof(type)
            );
        return NpyFormat.Header(name, shape);
    }

    private static NpyHeader Parse(string text, int dataStart, string location)
    {
        NpyDictionary dictionary = NpyDictionary.Parse(text, MaximumDimensions, location);
        foreach (var (name, type, size) in Known)
        {
            if (name != dictionary.Description)
                continue;
            // Zeros are ignored here: the strides of an empty array must not overflow either.
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

    private static long SizeOf(ElementType type) => Known.First(known => known.Type == type).Size;
}

/// <summary>The Python dictionary in the header of a .npy file, parsed by a grammar of exactly what NumPy writes.</summary>
/// <param name="Description">The elements' type, such as <c>&lt;f4</c>.</param>
/// <param name="IsFortran">Whether the first index varies fastest.</param>
/// <param name="Shape">The sizes; empty for a single number.</param>
internal sealed record NpyDictionary(string Description, bool IsFortran, IReadOnlyList<long> Shape)
{
    private const string DescriptionKey = "descr",
        OrderKey = "fortran_order",
        ShapeKey = "shape";

    /// <param name="text">The whole header.</param>
    /// <param name="maximumDimensions">Largest number of dimensions of the shape.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <exception cref="InvalidDataException">The text is not of the form <c>{'descr': '&lt;f4', 'fortran_order': False, 'shape': (2, 3),
    /// }</c>.</exception>
    public static NpyDictionary Parse(string text, int maximumDimensions, string location)
    {
        var scanner = new Scanner(text, maximumDimensions, location);
        string? description = null;
        bool? isFortran = null;
        List<long>? shape = null;
        scanner.Require('{');
        while (!scanner.Accept('}'))
        {
            string key = scanner.String();
            scanner.Require(':');
            bool again = key switch
            {
                DescriptionKey => description is not null,
                OrderKey => isFortran is not null,
                ShapeKey => shape is not null,
                _ => false,
            };
            if (again)
                throw scanner.Fault($"'{key}' occurs twice");
            if (key == DescriptionKey)
                description = scanner.String();
            else if (key == OrderKey)
                isFortran = scanner.Boolean();
            else if (key == ShapeKey)
                shape = scanner.Numbers();
            else
                throw scanner.Fault($"'{key}' is not a known key");
            if (scanner.Accept(','))
                continue;
            scanner.Require('}');
            break;
        }
        scanner.RequireEnd();
        if (description is null || isFortran is null || shape is null)
            throw scanner.Fault($"{DescriptionKey}, {OrderKey} or {ShapeKey} is missing");
        return new NpyDictionary(description, isFortran.Value, shape);
    }

    private ref struct Scanner(string text, int maximumDimensions, string location)
    {
        private int _at;

        /// <summary>Consumes a character if it comes next, ignoring blanks before it.</summary>
        public bool Accept(char expected)
        {
            SkipBlanks();
            if (_at == text.Length || text[_at] != expected)
                return false;
            _at++;
            return true;
        }

        public void Require(char expected)
        {
            if (!Accept(expected))
                throw Fault($"'{expected}' is expected at character {_at}");
        }

        public void RequireEnd()
        {
            SkipBlanks();
            if (_at != text.Length)
                throw Fault($"something follows the dictionary at character {_at}");
        }

        public string String()
        {
            char quote =
                Accept('\'') ? '\''
                : Accept('"') ? '"'
                : throw Fault($"a text in quotes is expected at character {_at}; structured arrays cannot be read");
            int end = text.IndexOf(quote, _at);
            if (end < 0)
                throw Fault($"the text at character {_at} does not end");
            string found = text[_at..end];
            if (found.Contains('\\', StringComparison.Ordinal))
                throw Fault($"the text at character {_at} holds an escape");
            _at = end + 1;
            return found;
        }

        public bool Boolean()
        {
            SkipBlanks();
            foreach (bool value in new[] { true, false })
            {
                string word = value ? "True" : "False";
                if (string.CompareOrdinal(text, _at, word, 0, word.Length) != 0)
                    continue;
                _at += word.Length;
                return value;
            }
            throw Fault($"True or False is expected at character {_at}");
        }

        /// <summary>A tuple of non-negative integers: <c>()</c>, <c>(3,)</c>, <c>(3, 4)</c>.</summary>
        public List<long> Numbers()
        {
            Require('(');
            var numbers = new List<long>();
            while (!Accept(')'))
            {
                SkipBlanks();
                int end = _at;
                while (end < text.Length && char.IsAsciiDigit(text[end]))
                    end++;
                if (!long.TryParse(text.AsSpan(_at, end - _at), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
                    throw Fault($"a size is expected at character {_at}");
                if (numbers.Count == maximumDimensions)
                    throw Fault($"the shape has more than {maximumDimensions} sizes");
                numbers.Add(number);
                _at = end;
                if (Accept(','))
                    continue;
                // (3) is a number in Python, not a tuple.
                if (numbers.Count == 1)
                    throw Fault($"a comma is expected at character {_at}");
                Require(')');
                break;
            }
            return numbers;
        }

        public readonly InvalidDataException Fault(string what) => new($"{location}: the .npy header cannot be read: {what}.");

        private void SkipBlanks()
        {
            while (_at < text.Length && text[_at] is ' ' or '\n')
                _at++;
        }
    }
}
