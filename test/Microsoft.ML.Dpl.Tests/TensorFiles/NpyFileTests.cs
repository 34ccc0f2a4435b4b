using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

public sealed class NpyFileTests
{
    private const string Good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

    private static readonly ScalarType[] Types =
    [
        ScalarType.Float32,
        ScalarType.Float64,
        ScalarType.Float16,
        ScalarType.Int64,
        ScalarType.Int32,
    ];

    public NpyFileTests() => LibTorch.EnsureLoaded();

    public static TheoryData<string, string, int, string> Faults =>
        new()
        {
            { "no dictionary", "[1, 2]", 24, "'{' is expected" },
            { "empty", "", 24, "'{' is expected" },
            { "unfinished", "{'descr': '<f4', ", 24, "in quotes" },
            { "text after the dictionary", Good + " import os", 24, "follows the dictionary" },
            { "second dictionary", Good + Good, 24, "follows the dictionary" },
            { "key twice", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24, "'descr' occurs twice" },
            { "key missing", "{'descr': '<f4', 'fortran_order': False}", 24, "is missing" },
            { "unknown key", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}", 24, "'x' is not a known key" },
            { "big endian", "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3)}", 24, "astype" },
            { "objects", "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", 24, "'|O'" },
            { "structured", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}", 24, "structured" },
            { "order is a number", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", 24, "True or False" },
            { "order runs on", "{'descr': '<f4', 'fortran_order': Falsehood, 'shape': (2, 3)}", 24, "'}' is expected" },
            { "negative size", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", 24, "a size" },
            { "broken size", "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 3)}", 24, "a comma" },
            { "size over 64 bits", "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}", 24, "a size" },
            { "product over 63 bits", "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 24, "more bytes" },
            {
                "product over 63 bits around a zero",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 0, 4294967296)}",
                0,
                "more bytes"
            },
            { "number for a tuple", "{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", 24, "a comma" },
            { "no tuple", "{'descr': '<f4', 'fortran_order': False, 'shape': 6}", 24, "'(' is expected" },
            {
                "too many sizes",
                $"{{'descr': '<f4', 'fortran_order': False, 'shape': ({string.Concat(Enumerable.Repeat("1, ", 33))})}}",
                4,
                "32 sizes"
            },
            { "far more than the file has", "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,)}", 24, "cut short" },
            { "too few bytes", Good, 23, "cut short" },
            { "too many bytes", Good, 25, "1 bytes follow" },
            { "escape", "{'de\\x73cr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24, "an escape" },
            { "open text", "{'descr", 24, "does not end" },
        };

    /// <summary>The bytes that numpy.save writes for numpy.array([[0, 1, 2], [3, 4, 5]], dtype='f4').</summary>
    [Fact]
    public void The_bytes_are_those_that_numpy_writes()
    {
        byte[] expected =
        [
            0x93,
            .. "NUMPY"u8,
            1,
            0,
            118,
            0,
            .. Encoding.ASCII.GetBytes(Good.PadRight(117) + "\n"),
            .. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((float)i)),
        ];
        using Tensor array = arange(6, ScalarType.Float32).reshape(2, 3);
        Assert.Equal(expected, Write(array));
        using NpyFile file = NpyFile.FromBytes(expected, "numpy's");
        using Tensor read = file.Read();
        TensorAssert.BitEqual(array, read);
    }

    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Any_array_comes_back(int seed)
    {
        using var scope = NewDisposeScope();
        var random = new Random(seed);
        long[] shape = [.. Enumerable.Range(0, seed % 4).Select(_ => (long)random.Next(0, 5))];
        Tensor array = (rand(shape, generator: new Generator((ulong)seed)) * 100).to_type(Types[seed % Types.Length]);
        byte[] bytes = Write(array);
        Assert.Equal(0, (bytes.Length - array.NumberOfElements * array.ElementSize) % 64);
        using NpyFile file = NpyFile.FromBytes(bytes, "array");
        Assert.Equal(shape, file.Shape);
        TensorAssert.BitEqual(array, file.Read());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void All_versions_and_both_orders_are_read(byte version)
    {
        using var scope = NewDisposeScope();
        Tensor expected = arange(6, ScalarType.Float32).reshape(2, 3);
        byte[] columnByColumn = [.. new float[] { 0, 3, 1, 4, 2, 5 }.SelectMany(BitConverter.GetBytes)];
        using NpyFile file = NpyFile.FromBytes(
            Raw(Good.Replace("False", "True", StringComparison.Ordinal), columnByColumn, version),
            "Fortran's"
        );
        TensorAssert.BitEqual(expected, file.Read());
        using NpyFile spaced = NpyFile.FromBytes(
            Raw(
                """{"shape":(2,3),"fortran_order":False,"descr":"<f4"}""",
                [.. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((float)i))],
                version
            ),
            "spaced"
        );
        TensorAssert.BitEqual(expected, spaced.Read());
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_wrong_header_is_refused(string fault, string header, int data, string message)
    {
        InvalidDataException thrown = Assert.Throws<InvalidDataException>(() =>
            NpyFile.FromBytes(Raw(header, new byte[data], 1), fault + ".npy")
        );
        Assert.StartsWith(fault + ".npy", thrown.Message);
        Assert.Contains(message, thrown.Message);
    }

    [Fact]
    public void What_is_no_npy_file_is_refused()
    {
        byte[] good = Raw(Good, new byte[24], 1);
        foreach (int length in Enumerable.Range(0, good.Length))
            Assert.Throws<InvalidDataException>(() => NpyFile.FromBytes(good.AsMemory(0, length), "cut"));
        foreach (int at in Enumerable.Range(0, 8))
        {
            byte[] other = [.. good];
            other[at] ^= 0x40;
            Assert.Throws<InvalidDataException>(() => NpyFile.FromBytes(other, "changed"));
        }
        byte[] longHeader = Raw(Good, new byte[24], 2);
        BinaryPrimitives.WriteUInt32LittleEndian(longHeader.AsSpan(8), uint.MaxValue);
        Assert.Contains("65536", Assert.Throws<InvalidDataException>(() => NpyFile.FromBytes(longHeader, "long")).Message);
    }

    /// <summary>Whatever byte of the header is changed, the file is either read or refused with an error that names it.</summary>
    [Fact]
    public void A_changed_byte_never_ends_otherwise()
    {
        byte[] good = Raw(Good, new byte[24], 1);
        for (int at = 0; at < good.Length - 24; at++)
        {
            for (int value = 0; value < 256; value += 3)
            {
                byte[] changed = [.. good];
                changed[at] = (byte)value;
                try
                {
                    using NpyFile file = NpyFile.FromBytes(changed, "changed.npy");
                    using Tensor read = file.Read();
                    Assert.Equal(24, read.NumberOfElements * read.ElementSize);
                }
                catch (InvalidDataException e)
                {
                    Assert.StartsWith("changed.npy", e.Message);
                }
            }
        }
    }

    [Fact]
    public void Types_that_the_format_lacks_are_not_written()
    {
        using Tensor flags = ones(2, ScalarType.Bool);
        Assert.Contains("Bool", Assert.Throws<ArgumentException>(() => Write(flags)).Message);
    }

    internal static byte[] Raw(string header, byte[] data, byte version)
    {
        byte[] text = Encoding.ASCII.GetBytes(header);
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes((uint)text.Length);
        return [0x93, .. "NUMPY"u8, version, 0, .. length, .. text, .. data];
    }

    private static byte[] Write(Tensor array)
    {
        using var stream = new MemoryStream();
        NpyFile.Write(stream, array);
        return stream.ToArray();
    }
}
