using System.Buffers.Binary;
using System.IO.Compression;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Unpacks zips and packs them again, with correct checksums whatever the content is.</summary>
internal static class ZipBytes
{
    public static List<(string Name, byte[] Content)> Entries(byte[] zip)
    {
        using var archive = new ZipArchive(new MemoryStream(zip), ZipArchiveMode.Read);
        return [.. archive.Entries.Select(entry => (entry.FullName, Content(entry)))];
    }

    public static byte[] Create(IEnumerable<(string Name, byte[] Content)> entries, CompressionLevel compression = CompressionLevel.Fastest)
    {
        using var zip = new MemoryStream();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in entries)
            {
                using Stream stream = archive.CreateEntry(name, compression).Open();
                stream.Write(content);
            }
        }
        return zip.ToArray();
    }

    /// <summary>Returns the zip with a false unpacked size of an entry in its central directory and local header; the content is
    /// unchanged.</summary>
    /// <param name="zip">A zip written by <see cref="Create"/>.</param>
    /// <param name="name">The entry's name.</param>
    /// <param name="size">The unpacked size to claim, in bytes.</param>
    public static byte[] Claiming(byte[] zip, string name, uint size)
    {
        byte[] changed = [.. zip];
        byte[] text = System.Text.Encoding.UTF8.GetBytes(name);
        // Headers start with these signatures; the unpacked size is at offset 22 of a local header and 24 of a central directory header.
        foreach (var (mark, sizeAt, nameAt) in new[] { (0x04034b50u, 22, 30), (0x02014b50u, 24, 46) })
            for (int at = 0; at + nameAt + text.Length <= changed.Length; at++)
                if (
                    BinaryPrimitives.ReadUInt32LittleEndian(changed.AsSpan(at)) == mark
                    && changed.AsSpan(at + nameAt, text.Length).SequenceEqual(text)
                )
                    BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(at + sizeAt), size);
        return changed;
    }

    /// <summary>
    /// Returns the zip with further names for an entry's bytes: its central directory lists the entry repeatedly, each time with another
    /// capital as the last letter of its name.
    /// </summary>
    /// <param name="zip">A zip written by <see cref="Create"/>.</param>
    /// <param name="name">The entry's name.</param>
    /// <param name="times">The number of names to add, at most 18, since the 19th, S, would equal an entry's own final s if case is
    /// ignored.</param>
    public static byte[] Overlapping(byte[] zip, string name, int times)
    {
        const int EndLength = 22,
            HeaderLength = 46;
        byte[] text = System.Text.Encoding.UTF8.GetBytes(name),
            end = zip[^EndLength..];
        int at = Enumerable
            .Range(0, zip.Length - HeaderLength)
            .Single(i => zip.AsSpan(i).StartsWith("PK\x01\x02"u8) && zip.AsSpan(i + HeaderLength).StartsWith(text));
        byte[] header = zip[at..(at + HeaderLength + text.Length)];
        byte[] more = [.. Enumerable.Range(0, times).SelectMany(i => (byte[])[.. header[..^1], (byte)('A' + i)])];
        // The end record has two counts of the entries, on this disk and in total, and the directory's size in bytes.
        ushort entries = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(end.AsSpan(8)) + times);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(8), entries);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(10), entries);
        uint directory = BinaryPrimitives.ReadUInt32LittleEndian(end.AsSpan(12)) + (uint)more.Length;
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), directory);
        return [.. zip[..^EndLength], .. more, .. end];
    }

    /// <summary>The minor versions of the format that a model was written in, and of the oldest format whose readers can read it.</summary>
    public static (int Written, int OldestReader) FormatVersions(byte[] zip)
    {
        byte[] main = Entries(zip)
            .Where(entry => Path.GetFileName(entry.Name) == "Model.key")
            .Select(entry => entry.Content)
            .Single(bytes => bytes.AsSpan().IndexOf("DPLCLIP"u8) >= 0);
        // The signature is followed by the version written, and the oldest version whose readers can read it.
        int at = main.AsSpan().IndexOf("DPLCLIP"u8);
        return (main[at + 8], main[at + 12]);
    }

    private static byte[] Content(ZipArchiveEntry entry)
    {
        using var content = new MemoryStream();
        using (Stream stream = entry.Open())
            stream.CopyTo(content);
        return content.ToArray();
    }
}
