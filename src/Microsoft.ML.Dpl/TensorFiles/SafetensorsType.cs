using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The element types that this library shares with the safetensors format.</summary>
internal static class SafetensorsType
{
    private static readonly (string Name, ScalarType Type, int Size)[] Known =
    [
        ("F64", ScalarType.Float64, 8),
        ("F32", ScalarType.Float32, 4),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I64", ScalarType.Int64, 8),
        ("I32", ScalarType.Int32, 4),
        ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1),
        ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>All names, for messages.</summary>
    public static string Names { get; } = string.Join(", ", Known.Select(k => k.Name));

    /// <summary>The type of the format's name, or <c>null</c> where this library has none.</summary>
    public static ScalarType? FromName(string name)
    {
        foreach (var known in Known)
            if (known.Name == name)
                return known.Type;
        return null;
    }

    /// <summary>The format's name of a type.</summary>
    /// <exception cref="ArgumentException">The format, or this library's part of it, has no such type.</exception>
    public static string NameOf(ScalarType type) => Find(type).Name;

    /// <summary>Bytes of one element.</summary>
    /// <exception cref="ArgumentException">The format, or this library's part of it, has no such type.</exception>
    public static int SizeOf(ScalarType type) => Find(type).Size;

    private static (string Name, ScalarType Type, int Size) Find(ScalarType type)
    {
        foreach (var known in Known)
            if (known.Type == type)
                return known;
        throw new ArgumentException($"Tensors of type {type} cannot be kept in safetensors; use one of {Names}.", nameof(type));
    }
}
