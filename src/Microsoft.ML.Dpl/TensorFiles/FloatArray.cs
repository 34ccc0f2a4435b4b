using System.Runtime.InteropServices;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>Floats in memory of .NET's own, row by row: what a tensor is where there is no libtorch. Nobody changes it once it is
/// made.</summary>
internal sealed class FloatArray
{
    /// <param name="bytes">As float32 lies in memory; kept, not copied.</param>
    /// <param name="shape">Sizes whose product is the number of values.</param>
    /// <exception cref="ArgumentException">The shape does not hold so many values.</exception>
    public FloatArray(ReadOnlyMemory<byte> bytes, params long[] shape)
    {
        if (shape.Aggregate((long)sizeof(float), (product, size) => checked(product * size)) != bytes.Length)
            throw new ArgumentException($"An array of [{string.Join(", ", shape)}] does not have {bytes.Length} bytes.", nameof(shape));
        (Bytes, Shape) = (bytes, shape);
    }

    public ReadOnlyMemory<byte> Bytes { get; }

    public long[] Shape { get; }

    public ReadOnlySpan<float> Values => MemoryMarshal.Cast<byte, float>(Bytes.Span);

    /// <summary>An array that is filled before anybody else has it.</summary>
    public static FloatArray Filled(long[] shape, Fill fill)
    {
        byte[] bytes = new byte[shape.Aggregate((long)sizeof(float), (product, size) => checked(product * size))];
        fill(MemoryMarshal.Cast<byte, float>(bytes));
        return new FloatArray(bytes, shape);
    }

    /// <summary>Sets an array's values, all of which are 0 before.</summary>
    public delegate void Fill(Span<float> values);

    /// <summary>A copy of the values.</summary>
    public static FloatArray From(ReadOnlySpan<float> values, params long[] shape) =>
        new(MemoryMarshal.AsBytes(values).ToArray(), shape.Length == 0 ? [values.Length] : shape);

    /// <summary>A copy of a float32 tensor on any device.</summary>
    public static FloatArray CopyOf(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return new(tensor.detach().cpu().contiguous().bytes.ToArray(), tensor.shape);
    }

    /// <summary>Stored numbers of one of the types of floats.</summary>
    /// <param name="type">Theirs.</param>
    /// <param name="bytes">As they were stored, in little-endian order; kept where they are float32.</param>
    /// <param name="shape">Their shape.</param>
    /// <exception cref="ArgumentException">They are no floats.</exception>
    public static FloatArray Stored(ElementType type, byte[] bytes, params long[] shape) =>
        type switch
        {
            ElementType.Float32 => new(bytes, shape),
            ElementType.Float64 => Filled(shape, to =>
                TensorPrimitives.ConvertChecked<double, float>(MemoryMarshal.Cast<byte, double>(bytes), to)
            ),
            ElementType.Float16 => Filled(shape, to => TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), to)),
            ElementType.BFloat16 => Filled(shape, to => Widen(MemoryMarshal.Cast<byte, ushort>(bytes), to)),
            _ => throw new ArgumentException($"Numbers of type {type} are no floats.", nameof(type)),
        };

    /// <summary>Rows along the first axis, which share this array's memory.</summary>
    public FloatArray Rows(long first, long count)
    {
        long row = Bytes.Length / Shape[0];
        return new FloatArray(Bytes.Slice(checked((int)(first * row)), checked((int)(count * row))), [count, .. Shape.Skip(1)]);
    }

    /// <summary>A copy whose last two axes have changed places.</summary>
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

    /// <summary>A copy times a factor.</summary>
    public FloatArray Times(float factor) => Filled(Shape, to => TensorPrimitives.Multiply(Values, factor, to));

    private static void Widen(ReadOnlySpan<ushort> from, Span<float> to)
    {
        for (int i = 0; i < from.Length; i++)
            to[i] = BitConverter.Int32BitsToSingle(from[i] << 16);
    }
}
