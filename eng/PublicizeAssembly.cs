using System;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Writes a copy of a reference assembly in which internal types, fields and methods are public, so that the compiler accepts them.
/// Works on the bytes: the tables of ECMA-335 §II.22 are walked and three visibility bits are changed per row; nothing moves.
/// Private and protected members keep their visibility.
/// </summary>
public sealed class PublicizeAssembly : Task
{
    private const int Module = 0,
        TypeRef = 1,
        TypeDef = 2,
        FieldPtr = 3,
        Field = 4,
        MethodPtr = 5,
        MethodDef = 6,
        Param = 8,
        ModuleRef = 26,
        TypeSpec = 27,
        AssemblyRef = 35;

    [Required]
    public string Source { get; set; }

    [Required]
    public string Destination { get; set; }

    private byte[] _bytes;
    private readonly int[] _rows = new int[64];

    public override bool Execute()
    {
        _bytes = File.ReadAllBytes(Source);
        int tables = FindTableStream();
        byte heaps = _bytes[tables + 6];
        int strings = (heaps & 1) != 0 ? 4 : 2,
            guids = (heaps & 2) != 0 ? 4 : 2,
            blobs = (heaps & 4) != 0 ? 4 : 2;
        ulong present = BitConverter.ToUInt64(_bytes, tables + 8);
        int position = tables + 24;
        for (int table = 0; table < 64; table++)
        {
            if ((present >> table & 1) == 0)
                continue;
            _rows[table] = Int32(position);
            position += 4;
        }

        int typeDefOrRef = CodedIndex(2, TypeDef, TypeRef, TypeSpec),
            resolutionScope = CodedIndex(2, Module, ModuleRef, AssemblyRef, TypeRef);
        int[] size =
        {
            2 + strings + 3 * guids,
            resolutionScope + 2 * strings,
            4 + 2 * strings + typeDefOrRef + Index(Field) + Index(MethodDef),
            Index(Field),
            2 + strings + blobs,
            Index(MethodDef),
            4 + 2 + 2 + strings + blobs + Index(Param),
        };
        for (int table = 0; table <= MethodDef; table++)
        {
            for (int row = 0; row < _rows[table]; row++, position += size[table])
            {
                if (table == TypeDef)
                    Replace(position, (0, 1), (5, 2)); // NotPublic -> Public, NestedAssembly -> NestedPublic
                else if (table == Field)
                    Replace(position, (3, 6)); // Assembly -> Public
                else if (table == MethodDef)
                    Replace(position + 6, (3, 6));
            }
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        // An unchanged copy keeps its time stamp, so that incremental builds stay incremental.
        if (!File.Exists(Destination) || !File.ReadAllBytes(Destination).SequenceEqual(_bytes))
            File.WriteAllBytes(Destination, _bytes);
        return true;
    }

    private void Replace(int offset, params (int From, int To)[] changes)
    {
        int visibility = _bytes[offset] & 7;
        foreach (var (from, to) in changes)
            if (visibility == from)
                _bytes[offset] = (byte)((_bytes[offset] & ~7) | to);
    }

    private int FindTableStream()
    {
        int portable = Int32(0x3C),
            sections = UInt16(portable + 6),
            optional = portable + 24,
            sectionTable = optional + UInt16(portable + 20);
        int Offset(int address)
        {
            for (int section = sectionTable; section < sectionTable + 40 * sections; section += 40)
            {
                int start = Int32(section + 12),
                    length = Math.Max(Int32(section + 8), Int32(section + 16));
                if (address >= start && address < start + length)
                    return address - start + Int32(section + 20);
            }
            throw new BadImageFormatException("address outside all sections", Source);
        }

        int directories = optional + (UInt16(optional) == 0x20B ? 112 : 96);
        int metadata = Offset(Int32(Offset(Int32(directories + 14 * 8)) + 8));
        int position = metadata + 16 + Int32(metadata + 12);
        int streams = UInt16(position + 2);
        position += 4;
        for (int stream = 0; stream < streams; stream++)
        {
            int name = position + 8,
                end = Array.IndexOf(_bytes, (byte)0, name);
            if (Encoding.ASCII.GetString(_bytes, name, end - name) is "#~" or "#-")
                return metadata + Int32(position);
            position = name + ((end - name + 4) & ~3);
        }
        throw new BadImageFormatException("no metadata tables", Source);
    }

    private int Int32(int offset) => BitConverter.ToInt32(_bytes, offset);

    private int UInt16(int offset) => BitConverter.ToUInt16(_bytes, offset);

    private int Index(int table) => _rows[table] > 0xFFFF ? 4 : 2;

    private int CodedIndex(int tagBits, params int[] targets) => targets.Max(t => _rows[t]) >= 1 << (16 - tagBits) ? 4 : 2;
}
