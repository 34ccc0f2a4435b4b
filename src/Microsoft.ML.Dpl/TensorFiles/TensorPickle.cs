using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// Reads the pickle of a PyTorch archive as data only. It supports the opcodes and the few names that tensors, dictionaries and TorchScript
/// modules need; a name becomes a record and is never called, and all other names and opcodes are rejected.
/// </summary>
internal ref struct TensorPickle
{
    private const int LongestName = 4096,
        NewestProtocol = 2,
        MostDimensions = 64;

    /// <summary>
    /// A tensor takes about thirty opcodes. Each creates an object or two, so this also bounds the memory that a small file can consume.
    /// </summary>
    private const int MostOpcodes = 1 << 20;

    private static readonly object Mark = new();

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _location;
    private readonly List<object?> _stack = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private int _position;

    private TensorPickle(ReadOnlySpan<byte> bytes, string location)
    {
        _bytes = bytes;
        _location = location;
    }

    /// <param name="bytes">The whole pickle, protocol 2.</param>
    /// <param name="location">The name of the file, for messages.</param>
    /// <returns>
    /// A graph of null, bool, long, double, string, <see cref="PickledList"/>, <see cref="PickledDictionary"/>,
    /// <see cref="PickledModule"/>, <see cref="PickledStorage"/> and <see cref="PickledTensor"/>; it may contain cycles.
    /// </returns>
    /// <exception cref="InvalidDataException">The pickle is damaged, or uses an unsupported name or opcode.</exception>
    public static object? Read(ReadOnlySpan<byte> bytes, string location)
    {
        var pickle = new TensorPickle(bytes, location);
        for (int count = 0; count < MostOpcodes; count++)
        {
            byte opcode = pickle.Byte();
            if (opcode == '.')
                return pickle.Pop();
            pickle.Execute(opcode);
        }
        throw pickle.Fault($"has more than {MostOpcodes} opcodes, so it is not a checkpoint of a model");
    }

    private void Execute(byte opcode)
    {
        switch (opcode)
        {
            case 0x80:
                RequireProtocol(Byte());
                break;
            case (byte)'(':
                Push(Mark);
                break;
            case (byte)'N':
                Push(null);
                break;
            case 0x88:
                Push(true);
                break;
            case 0x89:
                Push(false);
                break;
            case (byte)'J':
                Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                break;
            case (byte)'K':
                Push((long)Byte());
                break;
            case (byte)'M':
                Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                break;
            case 0x8a:
                Push(LongNumber(Take(Byte())));
                break;
            case (byte)'G':
                Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                break;
            case (byte)'X':
                Push(Text(Take(Number())));
                break;
            case (byte)')' or (byte)']':
                Push(new PickledList([]));
                break;
            case (byte)'}':
                Push(new PickledDictionary([]));
                break;
            case (byte)'t':
                Push(new PickledList(PopToMark()));
                break;
            case 0x85 or 0x86 or 0x87:
                Push(new PickledList(PopMany(opcode - 0x84)));
                break;
            case (byte)'a':
                Append(PopMany(1));
                break;
            case (byte)'e':
                Append(PopToMark());
                break;
            case (byte)'s':
                SetItems(PopMany(2));
                break;
            case (byte)'u':
                SetItems(PopToMark());
                break;
            case (byte)'q':
                _memo[Byte()] = Top();
                break;
            case (byte)'r':
                _memo[Number()] = Top();
                break;
            case (byte)'h':
                Push(Remembered(Byte()));
                break;
            case (byte)'j':
                Push(Remembered(Number()));
                break;
            case (byte)'c':
                Push(Global($"{Line()}.{Line()}"));
                break;
            case (byte)'R' or 0x81:
                Make(PopMany(2));
                break;
            case (byte)'b':
                Build(PopMany(2));
                break;
            case (byte)'Q':
                Push(Storage(Pop()));
                break;
            default:
                throw Fault($"has the opcode 0x{opcode:x2} at byte {_position - 1}, which archives of tensors do not use");
        }
    }

    private readonly void RequireProtocol(byte protocol)
    {
        if (protocol > NewestProtocol)
            throw Fault($"is of protocol {protocol}; PyTorch writes {NewestProtocol}");
    }

    /// <summary>Evaluates a call: [name, arguments] is replaced by the value that the name makes from the arguments.</summary>
    private readonly void Make(List<object?> call)
    {
        if (call is not [PickledGlobal name, PickledList arguments])
            throw Fault($"calls something that is not a name, before byte {_position}");
        Push(
            name.Kind switch
            {
                PickledGlobal.Use.Dictionary when arguments.Items.Count == 0 => new PickledDictionary([]),
                PickledGlobal.Use.Module when arguments.Items.Count == 0 => new PickledModule(),
                PickledGlobal.Use.First when arguments.Items is [var first, ..] => first,
                PickledGlobal.Use.Tensor
                    when arguments.Items is [PickledStorage storage, long offset, PickledList shape, PickledList strides, ..] =>
                    new PickledTensor(storage, offset, Numbers(shape), Numbers(strides)),
                _ => throw Fault($"has arguments before byte {_position} that do not fit"),
            }
        );
    }

    private readonly void Build(List<object?> pair)
    {
        if (pair is [PickledModule module, PickledDictionary attributes])
            module.Attributes = attributes;
        // State dictionaries store the versions of their modules as attributes, which no weight depends on.
        else if (pair is not [PickledDictionary, PickledDictionary])
            throw Fault($"sets the state of something that has none, before byte {_position}");
        Push(pair[0]);
    }

    private readonly PickledStorage Storage(object? id) =>
        id is PickledList { Items: ["storage", PickledGlobal { Type: { } type }, string key, string, long count, ..] } && count >= 0
            ? new PickledStorage(type, key, count)
            : throw Fault($"refers to something outside that is not a storage of tensors, before byte {_position}");

    private readonly PickledGlobal Global(string name) =>
        PickledGlobal.Find(name)
        ?? throw Fault($"asks for '{name}', which no tensor needs; it is refused, because such a file could run code");

    private readonly void Append(List<object?> items)
    {
        if (Top() is not PickledList list)
            throw Fault($"appends to something that is not a list, before byte {_position}");
        list.Items.AddRange(items);
    }

    private readonly void SetItems(List<object?> items)
    {
        if (Top() is not PickledDictionary dictionary || items.Count % 2 != 0)
            throw Fault($"sets items of something that is not a dictionary, before byte {_position}");
        for (int i = 0; i < items.Count; i += 2)
            dictionary.Items.Add(new(items[i], items[i + 1]));
    }

    private readonly IReadOnlyList<long> Numbers(PickledList list) =>
        list.Items.Count <= MostDimensions && list.Items.All(item => item is long)
            ? [.. list.Items.Cast<long>()]
            : throw Fault($"has a shape that is not of up to {MostDimensions} whole numbers, before byte {_position}");

    private readonly long LongNumber(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > sizeof(long))
            throw Fault($"has a number of {bytes.Length} bytes, before byte {_position}");
        long value = bytes.Length > 0 && bytes[^1] > 127 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--)
            value = value << 8 | bytes[i];
        return value;
    }

    private readonly string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    private string Line()
    {
        int length = _bytes[_position..].IndexOf((byte)'\n');
        if (length is < 0 or > LongestName)
            throw Fault($"has a name without an end at byte {_position}");
        string line = Text(Take(length));
        _position++;
        return line;
    }

    private byte Byte() => Take(1)[0];

    private uint Number() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ReadOnlySpan<byte> Take(long length)
    {
        if (length > _bytes.Length - _position)
            throw Fault("ends too early");
        ReadOnlySpan<byte> taken = _bytes.Slice(_position, (int)length);
        _position += (int)length;
        return taken;
    }

    private readonly void Push(object? value) => _stack.Add(value);

    private readonly object? Pop() => PopMany(1)[0];

    private readonly object? Top() =>
        _stack.Count > 0 && _stack[^1] is var top && top != Mark
            ? top
            : throw Fault($"uses a value that is not there, before byte {_position}");

    private readonly List<object?> PopMany(int count)
    {
        if (_stack.Count < count)
            throw Fault($"uses a value that is not there, before byte {_position}");
        List<object?> values = _stack.GetRange(_stack.Count - count, count);
        if (values.Contains(Mark))
            throw Fault($"uses a value that is not there, before byte {_position}");
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    private readonly List<object?> PopToMark()
    {
        int mark = _stack.LastIndexOf(Mark);
        if (mark < 0)
            throw Fault($"ends a group that never began, before byte {_position}");
        List<object?> values = _stack.GetRange(mark + 1, _stack.Count - mark - 1);
        _stack.RemoveRange(mark, _stack.Count - mark);
        return values;
    }

    private readonly object? Remembered(uint key) =>
        _memo.TryGetValue(key, out object? value) ? value : throw Fault($"recalls a value that it never stored, before byte {_position}");

    private readonly InvalidDataException Fault(string what) => new($"{_location}: its data.pkl {what}.");
}

/// <summary>A pickled list or tuple.</summary>
internal sealed record PickledList(List<object?> Items);

/// <summary>A pickled dictionary, in its order.</summary>
internal sealed record PickledDictionary(List<KeyValuePair<object?, object?>> Items);

/// <summary>A module of a TorchScript archive: its attributes, without its code.</summary>
internal sealed class PickledModule
{
    public PickledDictionary Attributes { get; set; } = new([]);
}

/// <summary>The file of the archive that contains the elements of one or more tensors.</summary>
/// <param name="Type">The element type.</param>
/// <param name="Key">The name of the file below <c>data/</c>.</param>
/// <param name="Count">Number of elements.</param>
internal sealed record PickledStorage(ElementType Type, string Key, long Count);

/// <summary>A tensor as a view of a storage.</summary>
/// <param name="Storage">The storage of its elements.</param>
/// <param name="Offset">Index of its first element in the storage.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Strides">Its strides, in elements.</param>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides);

/// <summary>
/// The names that a pickle may use: a closed list, and the types of TorchScript modules, of which only the attributes are read.
/// </summary>
/// <param name="Kind">The kind of value that the name makes.</param>
/// <param name="Type">The element type, if the name is that of a storage.</param>
internal sealed record PickledGlobal(PickledGlobal.Use Kind, ElementType? Type = null)
{
    private static readonly Dictionary<string, PickledGlobal> Known = new(StringComparer.Ordinal)
    {
        ["collections.OrderedDict"] = new(Use.Dictionary),
        ["torch._utils._rebuild_tensor_v2"] = new(Use.Tensor),
        ["torch._utils._rebuild_tensor"] = new(Use.Tensor),
        ["torch._utils._rebuild_parameter"] = new(Use.First),
        ["torch.jit._pickle.build_intlist"] = new(Use.First),
        ["torch.jit._pickle.build_boollist"] = new(Use.First),
        ["torch.jit._pickle.build_doublelist"] = new(Use.First),
        ["torch.jit._pickle.build_tensorlist"] = new(Use.First),
        ["torch.jit._pickle.restore_type_tag"] = new(Use.First),
        ["torch.Size"] = new(Use.First),
        ["torch.DoubleStorage"] = new(Use.Storage, ElementType.Float64),
        ["torch.FloatStorage"] = new(Use.Storage, ElementType.Float32),
        ["torch.HalfStorage"] = new(Use.Storage, ElementType.Float16),
        ["torch.BFloat16Storage"] = new(Use.Storage, ElementType.BFloat16),
        ["torch.LongStorage"] = new(Use.Storage, ElementType.Int64),
        ["torch.IntStorage"] = new(Use.Storage, ElementType.Int32),
        ["torch.ShortStorage"] = new(Use.Storage, ElementType.Int16),
        ["torch.CharStorage"] = new(Use.Storage, ElementType.Int8),
        ["torch.ByteStorage"] = new(Use.Storage, ElementType.Byte),
        ["torch.BoolStorage"] = new(Use.Storage, ElementType.Bool),
    };

    /// <summary>The kinds of values that names make.</summary>
    public enum Use
    {
        /// <summary>An empty dictionary.</summary>
        Dictionary,

        /// <summary>A tensor from storage, offset, shape and strides.</summary>
        Tensor,

        /// <summary>Its first argument.</summary>
        First,

        /// <summary>The element type of a storage.</summary>
        Storage,

        /// <summary>A module.</summary>
        Module,
    }

    /// <summary>The meaning of a full name; null if it is not supported.</summary>
    public static PickledGlobal? Find(string name) =>
        Known.GetValueOrDefault(name) ?? (name.StartsWith("__torch__.", StringComparison.Ordinal) ? new PickledGlobal(Use.Module) : null);
}
