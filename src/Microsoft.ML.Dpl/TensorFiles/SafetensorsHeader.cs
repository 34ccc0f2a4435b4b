using System.Text.Json;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The JSON header of a safetensors file, created only if every offset, type and shape in it is valid.</summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The largest header that the format allows, in bytes.</summary>
    public const int MaximumLength = 100_000_000;

    public const string MetadataName = "__metadata__";

    private const int MaximumDimensions = 64;

    private readonly Dictionary<string, (long Begin, long End)> _places = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private Dictionary<string, string> _metadata = [];

    private SafetensorsHeader() { }

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Offset of a tensor's first byte from the end of the header, and its length in bytes.</summary>
    public (long Offset, long Length) PlaceOf(string name) => (_places[name].Begin, _places[name].End - _places[name].Begin);

    /// <summary>Size of all tensors in bytes.</summary>
    public long DataLength { get; private set; }

    /// <summary>The tensors' names in the order of their offsets.</summary>
    public IEnumerable<string> NamesInOrder() => _places.OrderBy(p => p.Value.Begin).ThenBy(p => p.Value.End).Select(p => p.Key);

    /// <param name="json">The header without its length prefix.</param>
    /// <param name="dataLength">Number of bytes after the header; null if it is not known yet.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <exception cref="InvalidDataException">The header is invalid.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long? dataLength, string location)
    {
        if (json.IsEmpty || json[0] != '{')
            throw new InvalidDataException($"{location}: the header does not begin with '{{', so this is not a safetensors file.");
        try
        {
            var header = new SafetensorsHeader();
            new Parser(json, header, location).ReadAll();
            header.CheckPlaces(dataLength, location);
            return header;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The JSON reader reports broken text with the former and broken UTF-8 with the latter.
            throw new InvalidDataException($"{location}: the safetensors header is not JSON in UTF-8. {e.Message}", e);
        }
    }

    private void CheckPlaces(long? dataLength, string location)
    {
        long end = 0;
        foreach (var (name, place) in _places.OrderBy(p => p.Value.Begin).ThenBy(p => p.Value.End))
        {
            if (place.Begin < end)
                throw new InvalidDataException(
                    $"{location}: tensor '{name}' begins at byte {place.Begin}, inside another that ends at {end}."
                );
            if (place.Begin > end)
                throw new InvalidDataException($"{location}: bytes {end} to {place.Begin}, before tensor '{name}', belong to no tensor.");
            if (place.End > dataLength)
                throw new InvalidDataException(
                    $"{location}: tensor '{name}' ends at byte {place.End}, but the file holds {dataLength} bytes of tensors; it is "
                        + "cut short or damaged."
                );
            end = place.End;
        }
        DataLength = end;
        if (dataLength is not null && end != dataLength)
            throw new InvalidDataException($"{location}: the tensors end at byte {end}, but {dataLength} bytes follow the header.");
    }

    private ref struct Parser(ReadOnlySpan<byte> json, SafetensorsHeader header, string location)
    {
        private Utf8JsonReader _json = new(json);
        private bool _hasMetadata;

        public void ReadAll()
        {
            _json.Read();
            while (NextProperty("the header", out string name))
            {
                if (name == MetadataName)
                    ReadMetadata();
                else
                    ReadTensor(name);
            }
            // Reading on makes the JSON reader reject anything but padding after the object.
            _json.Read();
        }

        private void ReadMetadata()
        {
            if (_hasMetadata)
                throw Fault($"'{MetadataName}' occurs twice");
            _hasMetadata = true;
            Enter(JsonTokenType.StartObject, $"'{MetadataName}'");
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            while (NextProperty($"'{MetadataName}'", out string name))
            {
                string value = String($"'{name}' in '{MetadataName}'");
                if (!metadata.TryAdd(name, value))
                    throw Fault($"'{name}' occurs twice in '{MetadataName}'");
            }
            header._metadata = metadata;
        }

        private void ReadTensor(string name)
        {
            string owner = $"tensor '{name}'";
            if (header._entries.ContainsKey(name))
                throw Fault($"{owner} occurs twice");
            Enter(JsonTokenType.StartObject, owner);
            ElementType? type = null;
            List<long>? shape = null,
                offsets = null;
            while (NextProperty(owner, out string field))
            {
                bool again = field switch
                {
                    "dtype" => type is not null,
                    "shape" => shape is not null,
                    "data_offsets" => offsets is not null,
                    _ => false,
                };
                if (again)
                    throw Fault($"'{field}' of {owner} occurs twice");
                if (field == "dtype")
                    type = Type(owner);
                else if (field == "shape")
                    shape = Numbers($"the shape of {owner}", MaximumDimensions);
                else if (field == "data_offsets")
                    offsets = Numbers($"the offsets of {owner}", 2);
                else
                    throw Fault($"{owner} has an unknown field '{field}'");
            }
            if (type is null || shape is null || offsets is null)
                throw Fault($"{owner} lacks dtype, shape or data_offsets");
            if (offsets.Count != 2 || offsets[0] > offsets[1])
                throw Fault($"the offsets of {owner} are not a begin and an end");

            long length = Bytes(owner, type.Value, shape);
            if (length != offsets[1] - offsets[0])
                throw Fault(
                    $"{owner} of shape [{string.Join(", ", shape)}] in {SafetensorsType.NameOf(type.Value)} needs {length} bytes, but "
                        + $"its offsets leave it {offsets[1] - offsets[0]}"
                );
            header._entries.Add(name, new TensorEntry(name, type.Value, shape));
            header._places.Add(name, (offsets[0], offsets[1]));
        }

        private readonly long Bytes(string owner, ElementType type, List<long> shape)
        {
            // Zeros are ignored here: the strides of an empty tensor must not overflow either.
            long bytes = SafetensorsType.SizeOf(type);
            foreach (long size in shape)
            {
                if (size == 0)
                    continue;
                long high = Math.BigMul(bytes, size, out bytes);
                if (high != 0 || bytes < 0)
                    throw Fault($"{owner} of shape [{string.Join(", ", shape)}] has more bytes than a file can hold");
            }
            return shape.Contains(0) ? 0 : bytes;
        }

        private ElementType Type(string owner)
        {
            string name = String($"the dtype of {owner}");
            return SafetensorsType.FromName(name) ?? throw Fault($"{owner} has dtype '{name}'; only {SafetensorsType.Names} can be read");
        }

        private List<long> Numbers(string what, int maximum)
        {
            Enter(JsonTokenType.StartArray, what);
            var numbers = new List<long>();
            while (_json.Read() && _json.TokenType != JsonTokenType.EndArray)
            {
                if (_json.TokenType != JsonTokenType.Number || !_json.TryGetInt64(out long number) || number < 0)
                    throw Fault($"{what} contain something other than a whole number from 0 on");
                if (numbers.Count == maximum)
                    throw Fault($"{what} hold more than {maximum} numbers");
                numbers.Add(number);
            }
            return numbers;
        }

        private string String(string what)
        {
            Enter(JsonTokenType.String, what);
            return _json.GetString()!;
        }

        private void Enter(JsonTokenType expected, string what)
        {
            _json.Read();
            if (_json.TokenType != expected)
                throw Fault($"{what} must be a JSON {expected.ToString().Replace("Start", "").ToLowerInvariant()}");
        }

        private bool NextProperty(string owner, out string name)
        {
            name = "";
            _json.Read();
            if (_json.TokenType == JsonTokenType.EndObject)
                return false;
            if (_json.TokenType != JsonTokenType.PropertyName)
                throw Fault($"{owner} is not a JSON object");
            name = _json.GetString()!;
            return true;
        }

        private readonly InvalidDataException Fault(string what) => new($"{location}: {what}.");
    }
}

/// <summary>The element types that this library shares with the safetensors format.</summary>
internal static class SafetensorsType
{
    private static readonly (string Name, ElementType Type, int Size)[] Known =
    [
        ("F64", ElementType.Float64, 8),
        ("F32", ElementType.Float32, 4),
        ("F16", ElementType.Float16, 2),
        ("BF16", ElementType.BFloat16, 2),
        ("I64", ElementType.Int64, 8),
        ("I32", ElementType.Int32, 4),
        ("I16", ElementType.Int16, 2),
        ("I8", ElementType.Int8, 1),
        ("U8", ElementType.Byte, 1),
        ("BOOL", ElementType.Bool, 1),
    ];

    /// <summary>All type names, for messages.</summary>
    public static string Names { get; } = string.Join(", ", Known.Select(k => k.Name));

    /// <summary>The type with a name of the format, or <c>null</c> if this library does not support it.</summary>
    public static ElementType? FromName(string name)
    {
        foreach (var known in Known)
            if (known.Name == name)
                return known.Type;
        return null;
    }

    /// <summary>The name of a type in the format.</summary>
    /// <exception cref="ArgumentException">The format or this library does not support the type.</exception>
    public static string NameOf(ElementType type) => Find(type).Name;

    /// <summary>Size of one element in bytes.</summary>
    /// <exception cref="ArgumentException">The format or this library does not support the type.</exception>
    public static int SizeOf(ElementType type) => Find(type).Size;

    private static (string Name, ElementType Type, int Size) Find(ElementType type)
    {
        foreach (var known in Known)
            if (known.Type == type)
                return known;
        throw new ArgumentException($"Tensors of type {type} cannot be kept in safetensors; use one of {Names}.", nameof(type));
    }
}
