using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

public sealed class SafetensorsFileTests
{
    private const string Two =
        """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I16","shape":[2,1],"data_offsets":[8,12]}}""";

    public SafetensorsFileTests() => LibTorch.EnsureLoaded();

    public static TheoryData<string, string, int, string> Faults =>
        new()
        {
            { "no object", "[1, 2]", 0, "begin" },
            { "leading space", " {}", 0, "begin" },
            { "empty", "", 0, "begin" },
            { "unfinished", """{"a":{"dtype":"F32",""", 4, "JSON" },
            { "text after the object", "{} x", 0, "JSON" },
            { "second object", "{}{}", 0, "JSON" },
            { "comment", "{/* */}", 0, "JSON" },
            { "entry is a number", """{"a":3}""", 0, "'a'" },
            { "entry is null", """{"a":null}""", 0, "'a'" },
            { "no dtype", """{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "'a' lacks" },
            { "no shape", """{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "'a' lacks" },
            { "no offsets", """{"a":{"dtype":"F32","shape":[1]}}""", 4, "'a' lacks" },
            { "unknown field", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}""", 4, "unknown field 'x'" },
            { "unknown dtype", """{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}""", 4, "F8_E4M3" },
            { "dtype is a number", """{"a":{"dtype":4,"shape":[4],"data_offsets":[0,4]}}""", 4, "'a'" },
            { "negative size", """{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "whole number" },
            { "broken size", """{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "whole number" },
            { "size as text", """{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}""", 4, "whole number" },
            { "product overflows", """{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", 0, "more bytes" },
            {
                "product overflows around a zero",
                """{"a":{"dtype":"F32","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}}""",
                0,
                "more bytes"
            },
            { "size over 64 bits", """{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}}""", 0, "whole number" },
            {
                "too many dimensions",
                """{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}""",
                1,
                "64 numbers"
            },
            { "bytes do not match", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "needs 8 bytes" },
            { "one offset", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}""", 4, "begin and an end" },
            { "three offsets", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}""", 4, "2 numbers" },
            { "end before begin", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "begin and an end" },
            { "out of range", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "cut short" },
            { "hole before", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "no tensor" },
            {
                "hole between",
                """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}""",
                3,
                "no tensor"
            },
            { "bytes after the last", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "follow the header" },
            {
                "overlap",
                """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""",
                12,
                "inside another"
            },
            {
                "same place twice",
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""",
                4,
                "inside another"
            },
            {
                "duplicate tensor",
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""",
                8,
                "'a' occurs twice"
            },
            {
                "duplicate in escapes",
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""",
                8,
                "'a' occurs twice"
            },
            {
                "duplicate field",
                """{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""",
                4,
                "'dtype' of tensor 'a' occurs twice"
            },
            { "metadata is a list", """{"__metadata__":[]}""", 0, "__metadata__" },
            { "metadata holds a number", """{"__metadata__":{"n":1}}""", 0, "'n'" },
            { "metadata twice", """{"__metadata__":{},"__metadata__":{}}""", 0, "occurs twice" },
            { "metadata name twice", """{"__metadata__":{"n":"1","n":"2"}}""", 0, "'n' occurs twice" },
            { "half a surrogate", """{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "UTF-8" },
        };

    [Theory]
    [MemberData(nameof(Faults))]
    public void AFaultyHeaderIsRefusedWithTheFileAndTheReason(string fault, string header, int dataLength, string reason)
    {
        var error = Assert.Throws<InvalidDataException>(() =>
            SafetensorsFile.FromBytes(SafetensorsBytes.Raw(header, dataLength), "x.safetensors")
        );
        Assert.StartsWith("x.safetensors: ", error.Message);
        Assert.True(error.Message.Contains(reason, StringComparison.Ordinal), $"{fault}: {error.Message}");
    }

    [Theory]
    [InlineData(0UL, "begin")]
    [InlineData(100_000_001UL, "over the 100000000")]
    [InlineData(ulong.MaxValue, "over the 100000000")]
    [InlineData(1000UL, "does not fit")]
    public void AFaultyHeaderLengthIsRefused(ulong length, string reason)
    {
        byte[] bytes = SafetensorsBytes.Raw(Two, 12);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => SafetensorsFile.FromBytes(bytes, "x")).Message);
    }

    [Fact]
    public void EveryTruncationIsRefused()
    {
        byte[] bytes = SafetensorsBytes.Raw(Two, 12);
        for (int length = 0; length < bytes.Length; length++)
            Assert.Throws<InvalidDataException>(() => SafetensorsFile.FromBytes(bytes.AsMemory(0, length), "x"));
        using var whole = SafetensorsFile.FromBytes(bytes, "x");
        Assert.Equal(2, whole.Entries.Count);
    }

    [Fact]
    public void BytesThatAreNotUtf8AreRefused()
    {
        byte[] header = Encoding.Latin1.GetBytes("""{"é":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""");
        Assert.Throws<InvalidDataException>(() => SafetensorsFile.FromBytes(SafetensorsBytes.Raw(header, 4), "x"));
    }

    [Fact]
    public void TensorsMayBeNamedInAnyOrderAndBeEmpty()
    {
        const string header =
            """{"b":{"data_offsets":[4,8],"dtype":"F32","shape":[]},"none":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   """;
        byte[] bytes = SafetensorsBytes.Raw(header, 8);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(^4), 2.5f);
        using var file = SafetensorsFile.FromBytes(bytes, "x");
        using Tensor scalar = file.Read("b"),
            none = file.Read("none");
        Assert.Empty(scalar.shape);
        Assert.Equal(2.5f, scalar.item<float>());
        Assert.Equal([3, 0], none.shape);
        Assert.Empty(file.Metadata);
        Assert.Contains("'c'", Assert.Throws<InvalidDataException>(() => file.Read("c")).Message);
    }

    [Fact]
    public void BooleansOtherThanZeroAndOneAreRefused()
    {
        byte[] bytes = SafetensorsBytes.Raw("""{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}""", 2);
        bytes[^1] = 2;
        using var file = SafetensorsFile.FromBytes(bytes, "x");
        Assert.Contains("'a'", Assert.Throws<InvalidDataException>(() => file.Read("a")).Message);
    }

    [Fact]
    public void EveryTypeComesBackAsItWasWritten()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var generator = new Generator(5, CPU);
        ScalarType[] types =
        [
            ScalarType.Float64,
            ScalarType.Float32,
            ScalarType.Float16,
            ScalarType.BFloat16,
            ScalarType.Int64,
            ScalarType.Int32,
            ScalarType.Int16,
            ScalarType.Int8,
            ScalarType.Byte,
            ScalarType.Bool,
        ];
        var tensors = types.ToDictionary(t => $"of {t} \"é\"", t => (100 * rand([3, 5], generator: generator)).to(t));
        tensors.Add("turned", tensors[$"of {ScalarType.Float32} \"é\""].t());
        tensors.Add("empty", zeros(0, 4));
        tensors.Add("scalar", tensor(3L));
        var metadata = new Dictionary<string, string> { ["format"] = "pt", ["ü"] = "\"quoted\"\n" };

        byte[] bytes = SafetensorsBytes.Write(tensors, metadata);
        File.WriteAllBytes(folder.File("t.safetensors"), bytes);
        using var mapped = SafetensorsFile.Open(folder.File("t.safetensors"));
        using var inMemory = SafetensorsFile.FromStream(new MemoryStream(bytes), "memory");
        foreach (ITensorSource source in new ITensorSource[] { mapped, inMemory })
        {
            Assert.Equal(metadata, source.Metadata);
            Assert.Equal(tensors.Keys.Order(), source.Entries.Keys.Order());
            foreach (var (name, tensor) in tensors)
                TensorAssert.BitEqual(tensor, source.Read(name));
        }
    }

    [Fact]
    public void EqualContentGivesEqualAlignedBytes()
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["z"] = ones(3, ScalarType.Int8),
            ["b"] = ones(2),
            ["a"] = ones(1),
            ["c"] = ones(1, ScalarType.Int64),
        };
        byte[] bytes = SafetensorsBytes.Write(tensors, new Dictionary<string, string> { ["x"] = "1", ["y"] = "2" });
        byte[] reversed = SafetensorsBytes.Write(tensors.Reverse(), new Dictionary<string, string> { ["y"] = "2", ["x"] = "1" });
        Assert.Equal(bytes, reversed);
        Assert.Equal(0, BinaryPrimitives.ReadInt64LittleEndian(bytes) % 8);
        using var file = SafetensorsFile.FromBytes(bytes, "x");
        Assert.Equal(["c", "a", "b", "z"], file.Entries.Keys);
    }

    [Fact]
    public void TheWriterRefusesReservedAndRepeatedNamesAndForeignTypes()
    {
        using Tensor one = ones(1),
            complex = ones(1, ScalarType.ComplexFloat32);
        Assert.Throws<ArgumentException>(() => SafetensorsBytes.Write([new("__metadata__", one)]));
        Assert.Throws<ArgumentException>(() => SafetensorsBytes.Write([new("a", one), new("a", one)]));
        Assert.Throws<ArgumentException>(() => SafetensorsBytes.Write([new("a", complex)]));
    }

    [Fact]
    public void MutatedFilesAreReadOrRefusedAndNothingElse()
    {
        const int files = 2000;
        byte[] original = SafetensorsBytes.Raw(
            """{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BOOL","shape":[2,1],"data_offsets":[8,10]}}  """,
            10
        );
        string[] pieces =
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "0",
            "9",
            "-",
            "99999999999",
            "null",
            "\"F32\"",
            "\"a\"",
            "\\ud800",
            "\u00e9",
            "__metadata__",
        ];
        var random = new Random(20250117);
        int refused = 0;
        for (int i = 0; i < files; i++)
        {
            List<byte> bytes = [.. original];
            for (int edits = random.Next(1, 4); edits > 0; edits--)
            {
                int at = random.Next(bytes.Count),
                    kind = random.Next(4);
                if (kind == 0)
                    bytes[at] = (byte)random.Next(256);
                else if (kind == 1)
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 6), bytes.Count - at));
                else if (kind == 2)
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 12), bytes.Count - at)));
                else
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(pieces[random.Next(pieces.Length)]));
            }
            // With a corrected header length, the mutation reaches the later checks.
            if (i % 4 > 0 && bytes.Count > 18)
                BinaryPrimitives.WriteInt64LittleEndian(CollectionsMarshal.AsSpan(bytes), bytes.Count - 18);
            try
            {
                using var file = SafetensorsFile.FromBytes(bytes.ToArray(), "mutated");
                foreach (string name in file.Entries.Keys)
                    file.Read(name).Dispose();
            }
            catch (InvalidDataException e)
            {
                Assert.StartsWith("mutated: ", e.Message);
                refused++;
            }
        }
        Assert.InRange(refused, files / 2, files - 1);
    }

    [Fact]
    public void AnOpenFileIsReleasedOnClosingAndOnRefusal()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("t.safetensors");
        File.WriteAllBytes(path, SafetensorsBytes.Raw(Two, 12));
        var file = SafetensorsFile.Open(path);
        file.Read("a").Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Read("a"));

        // Writing needs exclusive access, which .NET enforces on every system.
        File.WriteAllBytes(path, SafetensorsBytes.Raw(Two, 3));
        Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path));
        File.WriteAllBytes(path, []);
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path)).Message);
        File.Delete(path);
        Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(path));
    }

    [SkippableFact]
    public void AFileOfSeveralGigabytesIsOpenedWithoutReadingIt()
    {
        Skip.If(OperatingSystem.IsWindows(), "a file with a hole takes its full size there");
        const long big = 3_000_000_000;
        using var folder = new TemporaryFolder();
        string path = folder.File("big.safetensors");
        byte[] start = SafetensorsBytes.Raw(
            $$$"""{"big":{"dtype":"U8","shape":[{{{big}}}],"data_offsets":[0,{{{big}}}]},"last":{"dtype":"F32","shape":[1],"data_offsets":[{{{big}}},{{{big + 4}}}]} }""",
            0
        );
        using (FileStream stream = File.Create(path))
        {
            stream.Write(start);
            stream.Position = start.Length + big;
            stream.Write(BitConverter.GetBytes(1.5f));
        }
        using var file = SafetensorsFile.Open(path);
        using Tensor last = file.Read("last");
        Assert.Equal(1.5f, last.item<float>());
        Assert.Contains("3000000000 bytes", Assert.Throws<InvalidDataException>(() => file.Read("big")).Message);
    }

    [Fact]
    public void ReadingLeaksNothing()
    {
        byte[] bytes = SafetensorsBytes.Raw("""{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}""", 2);
        bytes[^1] = 7;
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var file = SafetensorsFile.FromBytes(bytes, "x"))
            Assert.Throws<InvalidDataException>(() => file.Read("a"));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
