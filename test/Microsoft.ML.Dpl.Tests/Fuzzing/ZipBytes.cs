using System.Buffers.Binary;
using System.IO.Compression;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Takes zips apart and puts them together again: checksums are right, whatever the content is.</summary>
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

    /// <summary>The zip with other sizes in its directory and before the entry: what it claims, not what it holds.</summary>
    /// <param name="zip">Written by <see cref="Create"/>.</param>
    /// <param name="name">The entry.</param>
    /// <param name="size">The unpacked size that is claimed.</param>
    public static byte[] Claiming(byte[] zip, string name, uint size)
    {
        byte[] changed = [.. zip];
        byte[] text = System.Text.Encoding.UTF8.GetBytes(name);
        // Headers begin with these marks; the unpacked size stands 22 bytes into a local one and 24 into one of the directory.
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
    /// The zip with further names for an entry's bytes: its directory has the entry again and again,
    /// each time with another capital for its last letter.
    /// </summary>
    /// <param name="zip">Written by <see cref="Create"/>.</param>
    /// <param name="name">The entry.</param>
    /// <param name="times">How many names are added, at most 18, since S would be an entry's own s.</param>
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
        // The end record counts the entries twice, on this disk and on all, and the directory's bytes.
        ushort entries = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(end.AsSpan(8)) + times);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(8), entries);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(10), entries);
        uint directory = BinaryPrimitives.ReadUInt32LittleEndian(end.AsSpan(12)) + (uint)more.Length;
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), directory);
        return [.. zip[..^EndLength], .. more, .. end];
    }

    /// <summary>The last digit of the format's version that wrote a model, and of the oldest version whose readers may read it.</summary>
    public static (int Written, int OldestReader) FormatVersions(byte[] zip)
    {
        byte[] main = Entries(zip)
            .Where(entry => Path.GetFileName(entry.Name) == "Model.key")
            .Select(entry => entry.Content)
            .Single(bytes => bytes.AsSpan().IndexOf("DPLCLIP"u8) >= 0);
        // Signature, version written, and the oldest version whose readers may read it.
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
