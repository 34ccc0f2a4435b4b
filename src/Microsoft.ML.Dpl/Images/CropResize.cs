using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Dpl.Images;

/// <summary>A rectangle of an image.</summary>
/// <param name="X">The first column.</param>
/// <param name="Y">The first row.</param>
/// <param name="Width">The number of columns.</param>
/// <param name="Height">The number of rows.</param>
internal readonly record struct PixelArea(int X, int Y, int Width, int Height);

/// <summary>Resizes a part of an image like PIL, computing only the cropped part of the result: bicubic with a = −½, antialiased, in fixed
/// point with bytes between the two passes; colours premultiplied by alpha if there is any. The bytes are identical to those of
/// <see cref="ImageResizing"/>, but libtorch is not needed.</summary>
internal static class CropResize
{
    // A group of taps is loaded as 16 bytes.
    private const int ReadAhead = 16 + 4 * BicubicFilter.Group;

    // The size of the longest SIMD vector in bytes.
    private const int Widest = 64;

    // Shuffles that select the channels of the first two and of the last two of four pixels, in pairs; 128 gives 0.
    private static readonly Vector256<byte> FirstTwoOfThree = Twice([0, 128, 3, 128, 1, 128, 4, 128, 2, 128, 5, 128, 128, 128, 128, 128]),
        LastTwoOfThree = Twice([6, 128, 9, 128, 7, 128, 10, 128, 8, 128, 11, 128, 128, 128, 128, 128]),
        FirstTwoOfFour = Twice([0, 128, 4, 128, 1, 128, 5, 128, 2, 128, 6, 128, 3, 128, 7, 128]),
        LastTwoOfFour = Twice([8, 128, 12, 128, 9, 128, 13, 128, 10, 128, 14, 128, 11, 128, 15, 128]),
        LowBytes = Twice([0, 4, 8, 12, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128]);

    /// <param name="image">The image, of any size.</param>
    /// <param name="part">The part of the image to resize.</param>
    /// <param name="width">Width to which the part is resized.</param>
    /// <param name="height">Height to which the part is resized.</param>
    /// <param name="crop">The area of the resized part to compute; must be within it.</param>
    /// <returns>[height, width, 3], the pixels of the crop.</returns>
    public static byte[] Resize(RgbImage image, PixelArea part, int width, int height, PixelArea crop)
    {
        int channels = image.Alpha is null ? 3 : 4;
        var across = new BicubicFilter(part.Width, width);
        var down = new BicubicFilter(part.Height, height);
        int firstRow = down.First(crop.Y),
            rows = Math.Min(down.First(crop.Y + crop.Height - 1) + down.Taps, part.Height) - firstRow,
            bytes = crop.Width * channels,
            stride = (bytes + Widest) / Widest * Widest; // at least one byte more than a row
        // Includes padding: rows beyond the last are read with weight 0.
        byte[] narrowed = new byte[(rows + 1 + down.Taps) * stride + 4];
        // Two rows at a time, each with padding for vector loads beyond its end.
        int lineLength = (part.Width + across.Taps) * channels + ReadAhead;
        byte[] lines = new byte[2 * lineLength];
        for (int row = 0; row < rows; row += 2)
        {
            ReadRow(image, part, firstRow + row, lines);
            if (row + 1 < rows)
                ReadRow(image, part, firstRow + row + 1, lines.AsSpan(lineLength));
            ResizeRows(lines, lineLength, channels, across, crop, narrowed.AsSpan(row * stride), stride);
        }
        byte[] resized = new byte[crop.Height * stride];
        for (int row = 0; row < crop.Height; row++)
            ResizeColumns(
                narrowed.AsSpan((down.First(crop.Y + row) - firstRow) * stride),
                stride,
                down.Weights(crop.Y + row)[..((down.Used + 1) / 2 * 2)],
                down.Bits,
                resized.AsSpan(row * stride, stride)
            );
        return Colours(resized, stride, crop, channels);
    }

    /// <summary>The crop of a part without resizing, and without alpha.</summary>
    /// <returns>[height, width, 3], the pixels of the crop.</returns>
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

    /// <summary>Resizes the cropped pixels of two rows. Each pixel writes four bytes; with three channels, the next pixel overwrites the
    /// fourth.</summary>
    /// <remarks>Fully optimised on the first call, so that the first image is as fast as the others.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ResizeRows(
        ReadOnlySpan<byte> lines,
        int lineLength,
        int channels,
        BicubicFilter filter,
        PixelArea crop,
        Span<byte> rows,
        int stride
    )
    {
        Vector256<byte> firstTwo = channels == 3 ? FirstTwoOfThree : FirstTwoOfFour,
            lastTwo = channels == 3 ? LastTwoOfThree : LastTwoOfFour;
        Vector256<int> half = Vector256.Create(1 << (filter.Bits - 1)),
            largest = Vector256.Create((int)byte.MaxValue);
        ReadOnlySpan<int> firsts = filter.Firsts.Slice(crop.X, crop.Width);
        // A group of four weights is read as two pairs.
        int pairs = filter.Taps / 2,
            bits = filter.Bits;
        ref int weights = ref MemoryMarshal.GetReference(MemoryMarshal.Cast<short, int>(filter.Weights(crop.X)));
        ref byte line = ref MemoryMarshal.GetReference(lines);
        for (int x = 0; x < firsts.Length; x++)
        {
            ref byte source = ref Unsafe.Add(ref line, firsts[x] * channels);
            Vector256<int> sum = half;
            for (int pair = 0; pair < pairs; pair += 2)
            {
                Vector256<byte> pixels = Vector256.Create(
                    Vector128.LoadUnsafe(ref source),
                    Vector128.LoadUnsafe(ref Unsafe.Add(ref source, lineLength))
                );
                sum +=
                    Products(Shuffle(pixels, firstTwo).AsInt16(), Unsafe.Add(ref weights, pair))
                    + Products(Shuffle(pixels, lastTwo).AsInt16(), Unsafe.Add(ref weights, pair + 1));
                source = ref Unsafe.Add(ref source, BicubicFilter.Group * channels);
            }
            weights = ref Unsafe.Add(ref weights, pairs);
            Vector256<byte> values = Shuffle(Vector256.Min(Vector256.Max(sum >> bits, Vector256<int>.Zero), largest).AsByte(), LowBytes);
            Unsafe.WriteUnaligned(ref rows[x * channels], values.GetLower().AsUInt32().ToScalar());
            Unsafe.WriteUnaligned(ref rows[stride + x * channels], values.GetUpper().AsUInt32().ToScalar());
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ResizeColumns(ReadOnlySpan<byte> rows, int stride, ReadOnlySpan<short> weights, int bits, Span<byte> row)
    {
        ref byte source = ref MemoryMarshal.GetReference(rows);
        int x = 0;
        if (Avx2.IsSupported)
        {
            Vector256<int> half = Vector256.Create(1 << (bits - 1));
            for (; x < row.Length; x += Vector256<byte>.Count)
            {
                (Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d) = (half, half, half, half);
                ref byte column = ref Unsafe.Add(ref source, x);
                for (int tap = 0; tap < weights.Length; tap += 2)
                {
                    Vector256<byte> upper = Vector256.LoadUnsafe(ref column),
                        lower = Vector256.LoadUnsafe(ref Unsafe.Add(ref column, stride)),
                        low = Avx2.UnpackLow(upper, lower),
                        high = Avx2.UnpackHigh(upper, lower);
                    int pair = (ushort)weights[tap] | weights[tap + 1] << 16;
                    a += Products(Avx2.UnpackLow(low, Vector256<byte>.Zero).AsInt16(), pair);
                    b += Products(Avx2.UnpackHigh(low, Vector256<byte>.Zero).AsInt16(), pair);
                    c += Products(Avx2.UnpackLow(high, Vector256<byte>.Zero).AsInt16(), pair);
                    d += Products(Avx2.UnpackHigh(high, Vector256<byte>.Zero).AsInt16(), pair);
                    column = ref Unsafe.Add(ref column, 2 * stride);
                }
                Avx2.PackUnsignedSaturate(Avx2.PackSignedSaturate(a >> bits, b >> bits), Avx2.PackSignedSaturate(c >> bits, d >> bits))
                    .CopyTo(row[x..]);
            }
            return;
        }
        for (; x < row.Length; x += Vector<byte>.Count)
        {
            Vector<int> a = new(1 << (bits - 1)),
                b = a,
                c = a,
                d = a;
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
            Vector.Narrow(Vector.Narrow(Bytes(a, bits), Bytes(b, bits)), Vector.Narrow(Bytes(c, bits), Bytes(d, bits))).CopyTo(row[x..]);
        }
    }

    private static Vector256<byte> Twice(ReadOnlySpan<byte> half) => Vector256.Create(Vector128.Create(half), Vector128.Create(half));

    private static Vector<uint> Bytes(Vector<int> sum, int bits) =>
        Vector.Min(Vector.Max(Vector.ShiftRightArithmetic(sum, bits), Vector<int>.Zero), new Vector<int>(byte.MaxValue)).As<int, uint>();

    /// <summary>Shuffles the bytes within each 128-bit half; index 128 gives 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Shuffle(Vector256<byte> bytes, Vector256<byte> from) =>
        Avx2.IsSupported
            ? Avx2.Shuffle(bytes, from)
            : Vector256.Create(Vector128.Shuffle(bytes.GetLower(), from.GetLower()), Vector128.Shuffle(bytes.GetUpper(), from.GetUpper()));

    /// <summary>Multiplies each pair of neighbouring values by a pair of weights and adds the two products.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Products(Vector256<short> values, int weights) =>
        Avx2.IsSupported
            ? Avx2.MultiplyAddAdjacent(values, Vector256.Create(weights).AsInt16())
            : (values.AsInt32() << 16 >> 16) * Vector256.Create((int)(short)weights)
                + (values.AsInt32() >> 16) * Vector256.Create(weights >> 16);

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

    /// <summary>Divides a premultiplied colour by alpha; with alpha 0 the colour is unchanged.</summary>
    public static byte WithoutAlpha(byte weighted, byte alpha) =>
        alpha == 0 ? weighted : (byte)Math.Min(weighted * byte.MaxValue / alpha, byte.MaxValue);
}
