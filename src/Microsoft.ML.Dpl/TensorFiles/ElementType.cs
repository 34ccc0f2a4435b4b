using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The type of a stored tensor's numbers. A type of this library's own, so that files are read where TorchSharp is another version
/// or missing; names and values are those of <see cref="ScalarType"/>.</summary>
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

/// <summary>Between the types of files and those of tensors.</summary>
internal static class ElementTypes
{
    /// <summary>The type of tensors that such numbers are read into.</summary>
    public static ScalarType ToScalarType(this ElementType type) => (ScalarType)type;

    /// <summary>The type of a tensor's numbers in a file.</summary>
    /// <exception cref="ArgumentException">This library keeps no such tensors in files.</exception>
    public static ElementType InFile(this ScalarType type) =>
        Enum.IsDefined((ElementType)type)
            ? (ElementType)type
            : throw new ArgumentException($"Tensors of type {type} cannot be kept in a file.", nameof(type));
}
