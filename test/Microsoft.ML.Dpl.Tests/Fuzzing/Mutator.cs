using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Damages bytes in ways that tend to expose faults in readers. The same random numbers give the same damage.</summary>
/// <param name="seeds">Well-formed or nearly well-formed inputs to start from and to splice from.</param>
internal sealed class Mutator(params byte[][] seeds)
{
    private static readonly ulong[] Numbers =
    [
        0,
        1,
        2,
        7,
        127,
        128,
        255,
        256,
        32767,
        65535,
        65536,
        1 << 24,
        int.MaxValue,
        1UL << 31,
        uint.MaxValue,
        1UL << 32,
        long.MaxValue,
        1UL << 63,
        ulong.MaxValue,
        ulong.MaxValue - 7,
    ];

    private static readonly string[] Texts =
    [
        "0",
        "-1",
        "1",
        "2",
        "3.5",
        "1e999",
        "1e-999",
        "-0",
        "255",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483649",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1000000000000",
        "null",
        "true",
        "false",
        "\"\"",
        "[]",
        "{}",
        "[[",
        "{\"a\":",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"..\\/..\\/x\"",
        "NaN",
        "Infinity",
        "\n",
        " ",
        ",",
        ":",
        "\"",
    ];

    /// <summary>Returns one of the seeds with one to sixteen changes.</summary>
    public byte[] Next(Random random)
    {
        List<byte> bytes = [.. seeds[random.Next(seeds.Length)]];
        int changes = random.Next(8) switch
        {
            0 => 2 + random.Next(15),
            < 3 => 2,
            _ => 1,
        };
        for (int i = 0; i < changes; i++)
            Change(bytes, random);
        return [.. bytes];
    }

    private void Change(List<byte> bytes, Random random)
    {
        if (bytes.Count == 0)
        {
            bytes.Add((byte)random.Next(256));
            return;
        }
        int at = random.Next(bytes.Count);
        // Truncation is rare, as it keeps the reader from reaching later parts.
        if (random.Next(20) == 0)
            bytes.RemoveRange(at, bytes.Count - at);
        else
            Damage(bytes, at, random);
    }

    private void Damage(List<byte> bytes, int at, Random random)
    {
        switch (random.Next(12))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2 or 3:
                bytes.RemoveRange(at, Math.Min(1 + random.Next(16), bytes.Count - at));
                break;
            case 4:
                bytes.InsertRange(random.Next(bytes.Count + 1), bytes.GetRange(at, Math.Min(1 + random.Next(64), bytes.Count - at)));
                break;
            case 5:
                byte[] other = seeds[random.Next(seeds.Length)];
                int from = random.Next(other.Length);
                bytes.RemoveRange(at, bytes.Count - at);
                bytes.AddRange(other[from..]);
                break;
            case 6 or 7:
                Overwrite(bytes, at, random);
                break;
            case 8 or 9:
                ReplaceNumber(bytes, at, random);
                break;
            case 10:
                bytes.InsertRange(at, Encoding.UTF8.GetBytes(Texts[random.Next(Texts.Length)]));
                break;
            default:
                SwapParts(bytes, at, random.Next(bytes.Count), 1 + random.Next(32));
                break;
        }
    }

    /// <summary>Writes a false length or count of 2, 4 or 8 bytes in either byte order.</summary>
    private static void Overwrite(List<byte> bytes, int at, Random random)
    {
        int width = 2 << random.Next(3);
        if (random.Next(4) == 0)
            at = 0;
        if (at + width > bytes.Count)
            return;
        ulong number = random.Next(3) == 0 ? (ulong)(bytes.Count + random.Next(-9, 10)) : Numbers[random.Next(Numbers.Length)];
        Span<byte> all = stackalloc byte[8];
        if (random.Next(2) == 0)
            BinaryPrimitives.WriteUInt64LittleEndian(all, number);
        else
            BinaryPrimitives.WriteUInt64BigEndian(all, number << (64 - 8 * width));
        all[..width].CopyTo(CollectionsMarshal.AsSpan(bytes)[at..]);
    }

    /// <summary>Replaces the next decimal number in the text with another.</summary>
    private static void ReplaceNumber(List<byte> bytes, int at, Random random)
    {
        int start = bytes.FindIndex(at, b => b is >= (byte)'0' and <= (byte)'9');
        if (start < 0)
            return;
        int end = start;
        while (end < bytes.Count && bytes[end] is >= (byte)'0' and <= (byte)'9')
            end++;
        bytes.RemoveRange(start, end - start);
        bytes.InsertRange(start, Encoding.ASCII.GetBytes(Texts[random.Next(Texts.Length)]));
    }

    private static void SwapParts(List<byte> bytes, int a, int b, int length)
    {
        length = Math.Min(length, bytes.Count - Math.Max(a, b));
        for (int i = 0; i < length; i++)
            (bytes[a + i], bytes[b + i]) = (bytes[b + i], bytes[a + i]);
    }
}
