using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

public class ElfVersionNeedsTests
{
    [Fact]
    public void Only_newer_versions_of_the_prefix_become_weak()
    {
        byte[] library = Library("GLIBCXX_3.4.30", "GLIBCXX_3.4.31", "GLIBCXX_3.4.32", "CXXABI_1.3.40", "GLIBCXX_3.4.x");
        byte[] before = [.. library];
        Assert.Equal(2, ElfVersionNeeds.Weaken(library, "GLIBCXX_3.4.", 31));
        Assert.Equal([false, true, true, false, false], Enumerable.Range(0, 5).Select(i => library[FlagsAt(i)] == 2));
        Assert.Equal(2, library.Zip(before).Count(pair => pair.First != pair.Second));
    }

    [SkippableFact]
    public void The_original_shim_needs_it_and_marking_twice_changes_nothing()
    {
        string shim = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        Skip.IfNot(File.Exists(shim), "no Linux build of TorchSharp's shim here");
        byte[] library = File.ReadAllBytes(shim);
        int marked = ElfVersionNeeds.Weaken(library, "GLIBCXX_3.4.", 31);
        byte[] once = [.. library];
        Assert.Equal(marked, ElfVersionNeeds.Weaken(library, "GLIBCXX_3.4.", 31));
        Assert.Equal(once, library);
    }

    [Fact]
    public void Damaged_libraries_are_refused_and_never_read_out_of_bounds()
    {
        Assert.Throws<InvalidDataException>(() =>
            ElfVersionNeeds.Weaken("not an ELF file at all, but long enough to hold a header of its own....."u8.ToArray(), "G", 0)
        );
        byte[] whole = Library("GLIBCXX_3.4.32");
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            Exception? thrown = Record.Exception(() => ElfVersionNeeds.Weaken(cut, "GLIBCXX_3.4.", 31));
            Assert.True(thrown is null or InvalidDataException, $"cut at {length}: {thrown}");
        }
    }

    private const int ProgramHeaders = 64,
        Dynamic = ProgramHeaders + 2 * 56,
        Needs = Dynamic + 4 * 16,
        Versions = Needs + 16;

    private static int FlagsAt(int version) => Versions + 16 * version + 4;

    /// <summary>The smallest library with one needed file and the given needed versions; addresses are file offsets.</summary>
    private static byte[] Library(params string[] versions)
    {
        int names = Versions + 16 * versions.Length;
        byte[] text = [0, .. versions.SelectMany(v => Encoding.ASCII.GetBytes(v).Append((byte)0))];
        var elf = new byte[names + text.Length];
        void U16(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(at), (ushort)value);
        void U32(int at, int value) => BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(at), value);
        void U64(int at, long value) => BinaryPrimitives.WriteInt64LittleEndian(elf.AsSpan(at), value);
        U32(0, 0x464c457f);
        (elf[4], elf[5]) = (2, 1);
        U64(0x20, ProgramHeaders);
        U16(0x36, 56);
        U16(0x38, 2);
        U32(ProgramHeaders, 1);
        U64(ProgramHeaders + 32, elf.Length);
        U32(ProgramHeaders + 56, 2);
        U64(ProgramHeaders + 56 + 8, Dynamic);
        U64(ProgramHeaders + 56 + 32, 4 * 16);
        U64(Dynamic, 0x6ffffffe);
        U64(Dynamic + 8, Needs);
        U64(Dynamic + 16, 0x6fffffff);
        U64(Dynamic + 24, 1);
        U64(Dynamic + 32, 5);
        U64(Dynamic + 40, names);
        U16(Needs + 2, versions.Length);
        U32(Needs + 8, 16);
        int name = 1;
        for (int i = 0; i < versions.Length; i++)
        {
            U32(Versions + 16 * i + 8, name);
            U32(Versions + 16 * i + 12, 16);
            name += versions[i].Length + 1;
        }
        text.CopyTo(elf, names);
        return elf;
    }
}
