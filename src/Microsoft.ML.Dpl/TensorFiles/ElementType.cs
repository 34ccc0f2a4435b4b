using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The element type of a stored tensor. Declared by this library, so that files can be read with another version of TorchSharp or
/// without it; names and values are those of <see cref="ScalarType"/>.</summary>
internal enum ElementType
{
    Byte = 0,
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    Float16 = 5,
    Float32 = 6,
    Float64 = 7,
    Bool = 11,
    BFloat16 = 15,
}

/// <summary>Converts between the element types of files and of tensors.</summary>
internal static class ElementTypes
{
    /// <summary>The type of the tensors that elements of this type are read into.</summary>
    public static ScalarType ToScalarType(this ElementType type) => (ScalarType)type;

    /// <summary>The element type of such a tensor in a file.</summary>
    /// <exception cref="ArgumentException">The library does not store tensors of this type.</exception>
    public static ElementType InFile(this ScalarType type) =>
        Enum.IsDefined((ElementType)type)
            ? (ElementType)type
            : throw new ArgumentException($"Tensors of type {type} cannot be kept in a file.", nameof(type));
}
