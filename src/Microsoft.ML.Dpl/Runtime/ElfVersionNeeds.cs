using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Marks symbol-version requirements of a 64-bit little-endian ELF library as weak, so that the dynamic loader accepts an older provider.
/// Layout: System V ABI (program headers, dynamic section) and the Linux Standard Base's symbol versioning (<c>Elf64_Verneed</c>,
/// <c>Elf64_Vernaux</c>).
/// </summary>
internal static class ElfVersionNeeds
{
    private const uint LoadSegment = 1,
        DynamicSegment = 2;
    private const ulong StringTable = 5,
        VersionNeeded = 0x6ffffffe,
        VersionNeededCount = 0x6fffffff;
    private const ushort WeakFlag = 2;

    /// <summary>Sets VER_FLG_WEAK on every needed version <c>prefix + n</c> with n ≥ <paramref name="firstWeak"/>.</summary>
    /// <returns>How many entries were marked.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ELF64 library or a table points outside it.</exception>
    public static int Weaken(Span<byte> library, string prefix, int firstWeak)
    {
        try
        {
            return WeakenChecked(library, prefix, firstWeak);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new InvalidDataException("ELF: a table points outside the file.");
        }
    }

    private static int WeakenChecked(Span<byte> elf, string prefix, int firstWeak)
    {
        if (elf.Length < 64 || UInt32(elf, 0) != 0x464c457f || elf[4] != 2 || elf[5] != 1)
            throw new InvalidDataException("ELF: not a 64-bit little-endian library.");

        var segments = new List<(ulong Address, ulong Offset, ulong Size)>();
        long dynamicStart = 0,
            dynamicEnd = 0;
        long header = (long)UInt64(elf, 0x20);
        for (int i = 0; i < UInt16(elf, 0x38); i++, header += UInt16(elf, 0x36))
        {
            uint type = UInt32(elf, header);
            if (type == LoadSegment)
                segments.Add((UInt64(elf, header + 16), UInt64(elf, header + 8), UInt64(elf, header + 32)));
            if (type == DynamicSegment)
                (dynamicStart, dynamicEnd) = ((long)UInt64(elf, header + 8), (long)(UInt64(elf, header + 8) + UInt64(elf, header + 32)));
        }

        ulong needs = 0,
            needCount = 0,
            strings = 0;
        for (long entry = dynamicStart; entry < dynamicEnd; entry += 16)
        {
            ulong tag = UInt64(elf, entry),
                value = UInt64(elf, entry + 8);
            if (tag == VersionNeeded)
                needs = value;
            else if (tag == VersionNeededCount)
                needCount = value;
            else if (tag == StringTable)
                strings = value;
        }
        if (needCount == 0)
            return 0;

        long names = FileOffset(segments, strings),
            need = FileOffset(segments, needs);
        int marked = 0;
        for (ulong i = 0; i < needCount; i++, need += UInt32(elf, need + 12))
        {
            long version = need + UInt32(elf, need + 8);
            for (int k = UInt16(elf, need + 2); k > 0; k--, version += UInt32(elf, version + 12))
            {
                if (!IsFrom(Name(elf, names + UInt32(elf, version + 8)), prefix, firstWeak))
                    continue;
                Span<byte> flags = elf.Slice(checked((int)version + 4), 2);
                BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | WeakFlag));
                marked++;
            }
        }
        return marked;
    }

    private static bool IsFrom(string name, string prefix, int first) =>
        name.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(prefix.Length), out int minor) && minor >= first;

    private static long FileOffset(List<(ulong Address, ulong Offset, ulong Size)> segments, ulong address)
    {
        foreach (var (start, offset, size) in segments)
            if (address >= start && address < start + size)
                return (long)(address - start + offset);
        throw new InvalidDataException("ELF: an address lies outside all segments.");
    }

    private static string Name(ReadOnlySpan<byte> elf, long offset)
    {
        ReadOnlySpan<byte> rest = elf[checked((int)offset)..];
        int end = rest.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? rest : rest[..end]);
    }

    private static ulong UInt64(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt64LittleEndian(s.Slice(checked((int)offset), 8));

    private static uint UInt32(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt32LittleEndian(s.Slice(checked((int)offset), 4));

    private static ushort UInt16(ReadOnlySpan<byte> s, long offset) =>
        BinaryPrimitives.ReadUInt16LittleEndian(s.Slice(checked((int)offset), 2));
}
