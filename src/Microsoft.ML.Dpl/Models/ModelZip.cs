using System.IO.Compression;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>Looks at a model zip from elsewhere before ML.NET opens it.</summary>
/// <remarks>
/// <para>ML.NET's loader writes each entry it needs to a temporary file in full, whatever its size, and only then hands it to the component
/// that reads it. So what this library's own part of a zip may hold is checked on every load, but the disk space that a hostile zip takes
/// can be bounded only by looking first.</para>
/// <para>No check makes a zip from a stranger safe: a zip names the components that load it, and ML.NET runs whichever of the application's
/// assemblies it names.</para>
/// </remarks>
public static class ModelZip
{
    /// <summary>Deflate cannot do better than 1,032 : 1, and weights do not come near 20 : 1.</summary>
    private const long LargestRatio = 200,
        AlwaysAllowed = 1 << 24;

    /// <summary>Reads the zip's directory and checks it; of the entries nothing is read or written.</summary>
    /// <param name="path">A zip that <c>mlContext.Model.Save</c> wrote.</param>
    /// <param name="maximumBytes">The most bytes that all entries together may unpack to; ML.NET needs that much temporary disk
    /// space.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    /// <exception cref="InvalidDataException">
    /// It is no zip or is cut short; it has no model of this library; an entry's name leads out of the zip or occurs twice; or an entry
    /// claims a size that no model's has. The message names the zip and the entry.
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
            throw Refused(shown, $"it is no zip, or it is cut short or damaged: {e.Message}", e);
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
            // ML.NET takes both strokes for separators and does not tell upper from lower case.
            string[] parts = entry.FullName.Split('/', '\\');
            if (parts.Contains("..") || parts[0].Length == 0 || entry.FullName.Contains(':', StringComparison.Ordinal))
                throw Refused(path, $"the name of its entry '{name}' leads out of the zip");
            if (!seen.Add(string.Join('/', parts)))
                throw Refused(path, $"its entry '{name}' occurs twice");
            if (entry.Length > AlwaysAllowed && entry.Length / LargestRatio > entry.CompressedLength)
                throw Refused(
                    path,
                    $"its entry '{name}' would unpack {entry.CompressedLength} bytes to {entry.Length}, which no model does"
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
