using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Dpl.Images;

/// <summary>A rectangle of an image.</summary>
/// <param name="X">Its first column.</param>
/// <param name="Y">Its first row.</param>
/// <param name="Width">Its columns.</param>
/// <param name="Height">Its rows.</param>
internal readonly record struct PixelArea(int X, int Y, int Width, int Height);

/// <summary>Resizes a part of an image as PIL does, and computes of the result only what a crop keeps: bicubic with a = −½, antialiased,
/// fixed-point with bytes between the two passes; colours weighted by alpha where there is one. The bytes are those of
/// <see cref="ImageResizing"/>, without libtorch.</summary>
internal static class CropResize
{
    // A group of taps is read as 16 bytes.
    private const int ReadAhead = 16 + 4 * BicubicFilter.Group;

    private static readonly Vector128<byte> FirstTwoOfThree = Vector128.Create(0, 255, 3, 255, 1, 255, 4, 255, 2, 255, 5, 255, 255, 255, 255, 255),
        LastTwoOfThree = Vector128.Create(6, 255, 9, 255, 7, 255, 10, 255, 8, 255, 11, 255, 255, 255, 255, 255),
        FirstTwoOfFour = Vector128.Create(0, 255, 4, 255, 1, 255, 5, 255, 2, 255, 6, 255, 3, 255, 7, 255),
        LastTwoOfFour = Vector128.Create(8, 255, 12, 255, 9, 255, 13, 255, 10, 255, 14, 255, 11, 255, 15, 255);

    /// <param name="image">Of any size.</param>
    /// <param name="part">What of it is resized.</param>
    /// <param name="width">Columns that the part would have.</param>
    /// <param name="height">Rows that the part would have.</param>
    /// <param name="crop">What of these is wanted; within them.</param>
    /// <returns>[height, width, 3] of the crop.</returns>
    public static byte[] Resize(RgbImage image, PixelArea part, int width, int height, PixelArea crop)
    {
        int channels = image.Alpha is null ? 3 : 4;
        var across = new BicubicFilter(part.Width, width);
        var down = new BicubicFilter(part.Height, height);
        int firstRow = down.First(crop.Y),
            rows = Math.Min(down.First(crop.Y + crop.Height - 1) + down.Taps, part.Height) - firstRow,
            bytes = crop.Width * channels,
            stride = (bytes + Vector<byte>.Count - 1) / Vector<byte>.Count * Vector<byte>.Count;
        // Rows beyond the last are read with the weight 0.
        byte[] narrowed = new byte[(rows + down.Taps) * stride + 4];
        byte[] line = new byte[(part.Width + across.Taps) * channels + ReadAhead];
        for (int row = 0; row < rows; row++)
        {
            ReadRow(image, part, firstRow + row, line);
            ResizeRow(line, channels, across, crop, narrowed.AsSpan(row * stride));
        }
        byte[] resized = new byte[crop.Height * stride];
        for (int row = 0; row < crop.Height; row++)
            ResizeColumns(
                narrowed.AsSpan((down.First(crop.Y + row) - firstRow) * stride),
                stride,
                down.Weights(crop.Y + row),
                down.Bits,
                resized.AsSpan(row * stride, stride)
            );
        return Colours(resized, stride, crop, channels);
    }

    /// <summary>The crop of a part as it is, without its alpha.</summary>
    /// <returns>[height, width, 3] of the crop.</returns>
    public static byte[] Cut(RgbImage image, PixelArea part, PixelArea crop)
    {
        byte[] colours = new byte[crop.Width * crop.Height * 3];
        for (int row = 0; row < crop.Height; row++)
            image
                .Pixels.AsSpan(((part.Y + crop.Y + row) * image.Width + part.X + crop.X) * 3, crop.Width * 3)
                .CopyTo(colours.AsSpan(row * crop.Width * 3));
        return colours;
    }

    private static void ReadRow(RgbImage image, PixelArea part, int row, Span<byte> line)
    {
        int start = (part.Y + row) * image.Width + part.X;
        ReadOnlySpan<byte> colours = image.Pixels.AsSpan(start * 3, part.Width * 3);
        if (image.Alpha is null)
        {
            colours.CopyTo(line);
            return;
        }
        ReadOnlySpan<byte> alpha = image.Alpha.AsSpan(start, part.Width);
        for (int x = 0; x < alpha.Length; x++)
        {
            for (int channel = 0; channel < 3; channel++)
                line[x * 4 + channel] = (byte)((colours[x * 3 + channel] * alpha[x] + byte.MaxValue / 2) / byte.MaxValue);
            line[x * 4 + 3] = alpha[x];
        }
    }

    /// <summary>The pixels of one row that the crop keeps; a pixel writes four bytes, which the next one of three overwrites.</summary>
    private static void ResizeRow(ReadOnlySpan<byte> line, int channels, BicubicFilter filter, PixelArea crop, Span<byte> row)
    {
        (Vector128<byte> firstTwo, Vector128<byte> lastTwo) = channels == 3 ? (FirstTwoOfThree, LastTwoOfThree) : (FirstTwoOfFour, LastTwoOfFour);
        Vector128<int> half = Vector128.Create(1 << (filter.Bits - 1));
        for (int x = 0; x < crop.Width; x++)
        {
            ReadOnlySpan<int> pairs = MemoryMarshal.Cast<short, int>(filter.Weights(crop.X + x));
            ref byte source = ref MemoryMarshal.GetReference(line[(filter.First(crop.X + x) * channels)..]);
            Vector128<int> sum = half;
            for (int pair = 0; pair < pairs.Length; pair += 2)
            {
                Vector128<byte> four = Vector128.LoadUnsafe(ref source, (nuint)(pair * 2 * channels));
                sum += Products(Shuffle(four, firstTwo).AsInt16(), pairs[pair]) + Products(Shuffle(four, lastTwo).AsInt16(), pairs[pair + 1]);
            }
            Vector128<int> value = Vector128.Min(Vector128.Max(sum >> filter.Bits, Vector128<int>.Zero), Vector128.Create(255));
            uint pixel = Shuffle(value.AsByte(), Vector128.Create((byte)0, 4, 8, 12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255)).AsUInt32().ToScalar();
            Unsafe.WriteUnaligned(ref row[x * channels], pixel);
        }
    }

    private static void ResizeColumns(ReadOnlySpan<byte> rows, int stride, ReadOnlySpan<short> weights, int bits, Span<byte> row)
    {
        ref byte source = ref MemoryMarshal.GetReference(rows);
        var half = new Vector<int>(1 << (bits - 1));
        for (int x = 0; x < row.Length; x += Vector<byte>.Count)
        {
            Vector<int> a = half,
                b = half,
                c = half,
                d = half;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                var weight = new Vector<int>(weights[tap]);
                Vector.Widen(Vector.LoadUnsafe(ref source, (nuint)(tap * stride + x)), out Vector<ushort> low, out Vector<ushort> high);
                Vector.Widen(low, out Vector<uint> first, out Vector<uint> second);
                Vector.Widen(high, out Vector<uint> third, out Vector<uint> fourth);
                a += first.As<uint, int>() * weight;
                b += second.As<uint, int>() * weight;
                c += third.As<uint, int>() * weight;
                d += fourth.As<uint, int>() * weight;
            }
            Vector.Narrow(
                Vector.Narrow(Bytes(a, bits), Bytes(b, bits)),
                Vector.Narrow(Bytes(c, bits), Bytes(d, bits))
            ).CopyTo(row[x..]);
        }
    }

    private static Vector<uint> Bytes(Vector<int> sum, int bits) =>
        Vector.Min(Vector.Max(Vector.ShiftRightArithmetic(sum, bits), Vector<int>.Zero), new Vector<int>(byte.MaxValue)).As<int, uint>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Shuffle(Vector128<byte> bytes, Vector128<byte> from) =>
        Ssse3.IsSupported ? Ssse3.Shuffle(bytes, from) : Vector128.Shuffle(bytes, from);

    /// <summary>Of each pair of neighbours, the sum of the products with a pair of weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Products(Vector128<short> values, int weights)
    {
        if (Sse2.IsSupported)
            return Sse2.MultiplyAddAdjacent(values, Vector128.Create(weights).AsInt16());
        Vector128<int> first = Vector128.Create((int)(short)weights),
            second = Vector128.Create(weights >> 16);
        return ((values.AsInt32() << 16) >> 16) * first + (values.AsInt32() >> 16) * second;
    }

    private static byte[] Colours(ReadOnlySpan<byte> resized, int stride, PixelArea crop, int channels)
    {
        byte[] colours = new byte[crop.Width * crop.Height * 3];
        for (int row = 0; row < crop.Height; row++)
        {
            ReadOnlySpan<byte> from = resized.Slice(row * stride, crop.Width * channels);
            Span<byte> to = colours.AsSpan(row * crop.Width * 3, crop.Width * 3);
            if (channels == 3)
            {
                from.CopyTo(to);
                continue;
            }
            for (int i = 0; i < to.Length; i++)
                to[i] = WithoutAlpha(from[i / 3 * 4 + i % 3], from[i / 3 * 4 + 3]);
        }
        return colours;
    }

    /// <summary>A colour that alpha is multiplied into, divided by it; where nothing is to be seen it stays as it is.</summary>
    public static byte WithoutAlpha(byte weighted, byte alpha) =>
        alpha == 0 ? weighted : (byte)Math.Min(weighted * byte.MaxValue / alpha, byte.MaxValue);
}
