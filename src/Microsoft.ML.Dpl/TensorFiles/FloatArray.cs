using System.Runtime.InteropServices;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>
/// Floats in managed memory, in row-major order, which take the place of a tensor where there is no libtorch. Immutable once created.
/// </summary>
internal sealed class FloatArray
{
    /// <param name="bytes">The bytes of the float32 values; not copied.</param>
    /// <param name="shape">Sizes whose product is the number of values.</param>
    /// <exception cref="ArgumentException">The shape does not match the number of bytes.</exception>
    public FloatArray(ReadOnlyMemory<byte> bytes, params long[] shape)
    {
        if (shape.Aggregate((long)sizeof(float), (product, size) => checked(product * size)) != bytes.Length)
            throw new ArgumentException($"An array of [{string.Join(", ", shape)}] does not have {bytes.Length} bytes.", nameof(shape));
        (Bytes, Shape) = (bytes, shape);
    }

    public ReadOnlyMemory<byte> Bytes { get; }

    public long[] Shape { get; }

    public ReadOnlySpan<float> Values => MemoryMarshal.Cast<byte, float>(Bytes.Span);

    /// <summary>Creates an array and fills it.</summary>
    public static FloatArray Filled(long[] shape, Fill fill)
    {
        byte[] bytes = new byte[shape.Aggregate((long)sizeof(float), (product, size) => checked(product * size))];
        fill(MemoryMarshal.Cast<byte, float>(bytes));
        return new FloatArray(bytes, shape);
    }

    /// <summary>Sets the values of an array, which are all 0 initially.</summary>
    public delegate void Fill(Span<float> values);

    /// <summary>An array with a copy of the values.</summary>
    public static FloatArray From(ReadOnlySpan<float> values, params long[] shape) =>
        new(MemoryMarshal.AsBytes(values).ToArray(), shape.Length == 0 ? [values.Length] : shape);

    /// <summary>An array with a copy of a float32 tensor on any device.</summary>
    public static FloatArray CopyOf(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return new(tensor.detach().cpu().contiguous().bytes.ToArray(), tensor.shape);
    }

    /// <summary>An array from stored numbers of any float type.</summary>
    /// <param name="type">The stored type.</param>
    /// <param name="bytes">The stored bytes, in little-endian order; not copied if the type is float32.</param>
    /// <param name="shape">Their shape.</param>
    /// <exception cref="ArgumentException">The type is not a float type.</exception>
    public static FloatArray Stored(ElementType type, byte[] bytes, params long[] shape) =>
        type switch
        {
            ElementType.Float32 => new(bytes, shape),
            ElementType.Float64 => Filled(shape, to =>
                TensorPrimitives.ConvertChecked<double, float>(MemoryMarshal.Cast<byte, double>(bytes), to)
            ),
            ElementType.Float16 => Filled(shape, to => TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), to)),
            ElementType.BFloat16 => Filled(shape, to => Widen(MemoryMarshal.Cast<byte, ushort>(bytes), to)),
            _ => throw new ArgumentException($"Numbers of type {type} are not floats.", nameof(type)),
        };

    /// <summary>A range along the first axis, which shares this array's memory.</summary>
    public FloatArray Rows(long first, long count)
    {
        long row = Bytes.Length / Shape[0];
        return new FloatArray(Bytes.Slice(checked((int)(first * row)), checked((int)(count * row))), [count, .. Shape.Skip(1)]);
    }

    /// <summary>A copy with the last two axes swapped.</summary>
    public FloatArray Transposed()
    {
        int rows = (int)Shape[^2],
            columns = (int)Shape[^1];
        return Filled([.. Shape[..^2], columns, rows], to =>
        {
            ReadOnlySpan<float> from = Values;
            for (int start = 0; start < to.Length; start += rows * columns)
            {
                for (int row = 0; row < rows; row++)
                for (int column = 0; column < columns; column++)
                    to[start + column * rows + row] = from[start + row * columns + column];
            }
        });
    }

    /// <summary>A copy multiplied by a factor.</summary>
    public FloatArray Times(float factor) => Filled(Shape, to => TensorPrimitives.Multiply(Values, factor, to));

    private static void Widen(ReadOnlySpan<ushort> from, Span<float> to)
    {
        for (int i = 0; i < from.Length; i++)
            to[i] = BitConverter.Int32BitsToSingle(from[i] << 16);
    }
}
