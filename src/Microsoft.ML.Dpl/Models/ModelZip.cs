using System.IO.Compression;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Checks a model zip from another source before ML.NET opens it.</summary>
/// <remarks>
/// <para>ML.NET's loader writes each entry it needs to a temporary file in full, whatever its size, and only then hands it to the component
/// that reads it. The entries of this library are therefore checked on every load, but only a check beforehand can limit the disk space
/// that a malicious zip takes.</para>
/// <para>No check makes a zip from an untrusted source safe: the zip names the components that load it, and ML.NET runs them from any of
/// the application's assemblies.</para>
/// </remarks>
public static class ModelZip
{
    /// <summary>Deflate cannot compress better than 1,032 : 1, and weights never come near 20 : 1.</summary>
    private const long LargestRatio = 200,
        AlwaysAllowed = 1 << 24;

    /// <summary>Reads and checks the zip's central directory; the entries themselves are not unpacked.</summary>
    /// <param name="path">A zip that <c>mlContext.Model.Save</c> wrote.</param>
    /// <param name="maximumBytes">The maximum total size of the unpacked entries in bytes; ML.NET needs as much temporary disk
    /// space.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is not a zip or is truncated; it contains no model of this library; an entry's path leads out of the zip or occurs twice;
    /// or an entry or all entries together claim a size that is not allowed. The message names the zip and the entry.
    /// </exception>
    public static void Check(string path, long maximumBytes = 1L << 34)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumBytes, 1);
        string shown = ShownText.Escape(path);
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model zip '{shown}'.", path);
        GitLfsPointer.Refuse(path);
        using FileStream file = File.OpenRead(path);
        try
        {
            using var zip = new ZipArchive(file, ZipArchiveMode.Read);
            Check(zip, shown, file.Length, maximumBytes);
        }
        catch (InvalidDataException e) when (!e.Message.Contains(shown, StringComparison.Ordinal))
        {
            throw Refused(shown, $"it is not a zip, or it is cut short or damaged: {e.Message}", e);
        }
    }

    private static void Check(ZipArchive zip, string path, long fileLength, long maximumBytes)
    {
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        long total = 0,
            compressed = 0;
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            string name = ShownText.Escape(entry.FullName);
            // ML.NET treats both slashes as separators and ignores case.
            string[] parts = entry.FullName.Split('/', '\\');
            if (parts.Contains("..") || parts[0].Length == 0 || entry.FullName.Contains(':', StringComparison.Ordinal))
                throw Refused(path, $"the name of its entry '{name}' leads out of the zip");
            if (!seen.Add(string.Join('/', parts)))
                throw Refused(path, $"its entry '{name}' occurs twice");
            if (entry.Length > AlwaysAllowed && entry.Length / LargestRatio > entry.CompressedLength)
                throw Refused(
                    path,
                    $"its entry '{name}' would unpack {entry.CompressedLength} bytes to {entry.Length}, more than a model's entry can"
                );
            if (ModelZipFormat.LargestSizeOf(parts[^1]) is long largest && entry.Length > largest)
                throw Refused(path, $"its entry '{name}' would unpack to {entry.Length} bytes, more than the {largest} that it can have");
            total = Sum(total, entry.Length);
            compressed = Sum(compressed, entry.CompressedLength);
            if (total > maximumBytes)
                throw Refused(
                    path,
                    $"its entries up to '{name}' would unpack to {total} bytes, more than the {maximumBytes} that are allowed"
                );
            if (compressed > fileLength)
                throw Refused(
                    path,
                    $"its entries up to '{name}' overlap: they claim {compressed} bytes of the {fileLength} that the file has"
                );
        }
        if (!zip.Entries.Any(entry => entry.Name is ModelZipFormat.DescriptionEntry or ModelZipFormat.EmbeddingEntry))
            throw Refused(path, $"it has no entry '{ModelZipFormat.DescriptionEntry}', so it holds no model of this library");
    }

    private static long Sum(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;

    private static InvalidDataException Refused(string path, string why, Exception? cause = null) =>
        new($"The model zip '{path}' is refused: {why}. Get the zip again from where it was saved.", cause);
}
