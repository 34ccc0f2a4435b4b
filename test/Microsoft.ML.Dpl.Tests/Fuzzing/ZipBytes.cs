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

    public static byte[] Of(IEnumerable<(string Name, byte[] Content)> entries, CompressionLevel compression = CompressionLevel.Fastest)
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
    /// <param name="zip">Written by <see cref="Of"/>.</param>
    /// <param name="name">The entry.</param>
    /// <param name="size">The unpacked size that is claimed.</param>
    public static byte[] Claiming(byte[] zip, string name, uint size)
    {
        byte[] changed = [.. zip];
        byte[] text = System.Text.Encoding.UTF8.GetBytes(name);
        // Headers begin with these marks; the unpacked size stands 22 bytes into a local one and 24 into one of the directory.
        foreach (var (mark, sizeAt, nameAt) in new[] { (0x04034b50u, 22, 30), (0x02014b50u, 24, 46) })
            for (int at = 0; at + nameAt + text.Length <= changed.Length; at++)
                if (BinaryPrimitives.ReadUInt32LittleEndian(changed.AsSpan(at)) == mark && changed.AsSpan(at + nameAt, text.Length).SequenceEqual(text))
                    BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(at + sizeAt), size);
        return changed;
    }

    private static byte[] Content(ZipArchiveEntry entry)
    {
        using var content = new MemoryStream();
        using (Stream stream = entry.Open()) stream.CopyTo(content);
        return content.ToArray();
    }
}
