using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Golden values computed by other implementations: the repository's test/golden, whose larger files are compressed, unpacked to a
/// folder of plain files.</summary>
internal static class GoldenFolder
{
    /// <summary>Environment variable: a folder of cases to use instead of the repository's.</summary>
    public const string Variable = "DPL_GOLDEN";

    private const string Compressed = ".br";

    private static readonly Lazy<string> Repository = new(() => Unpacked(Source, AppContext.BaseDirectory));

    private static readonly Lazy<string> OfCases = new(() =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } folder
            ? Unpacked(folder, AppContext.BaseDirectory)
            : Repository.Value
    );

    /// <summary>The folder of the repository's golden values, with the larger files compressed.</summary>
    public static string Source => Path.Combine(SharedData.RepositoryRoot, "test", "golden");

    /// <summary>The folder with one subfolder for each case: that of <see cref="Variable"/> if set, else the repository's.</summary>
    public static string Cases => OfCases.Value;

    /// <summary>The full path of a file or folder of the repository's golden values, whatever <see cref="Variable"/> says.</summary>
    /// <exception cref="FileNotFoundException">There is no such file or folder.</exception>
    public static string At(string relativePath)
    {
        string path = Path.Combine(Repository.Value, relativePath);
        return Path.Exists(path)
            ? path
            : throw new FileNotFoundException($"The golden values in '{Source}' have no '{relativePath}'.", path);
    }

    /// <summary>Returns a folder with the same files, none of them compressed: <paramref name="source"/> itself if it has no compressed
    /// file, else a folder below <paramref name="target"/> named after the content.</summary>
    /// <remarks>The folder is kept for the next run. If several processes call this at once, each fills a folder of its own, and the first
    /// to rename it wins.</remarks>
    /// <param name="source">An existing folder.</param>
    /// <param name="target">An existing writable folder.</param>
    /// <exception cref="IOException">A file exists both compressed and uncompressed, or <paramref name="target"/> cannot be
    /// written.</exception>
    /// <exception cref="InvalidOperationException">A compressed file is damaged.</exception>
    public static string Unpacked(string source, string target)
    {
        string[] files =
        [
            .. Directory
                .EnumerateFiles(source, "*", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(source, path))
                .Order(StringComparer.Ordinal),
        ];
        if (!files.Any(IsCompressed))
            return source;
        string whole = Path.Combine(target, $"golden-{Digest(source, files)}"),
            unfinished = $"{whole}.{Guid.NewGuid():n}";
        if (Directory.Exists(whole))
            return whole;
        try
        {
            foreach (string file in files)
                Unpack(Path.Combine(source, file), Path.Combine(unfinished, IsCompressed(file) ? file[..^Compressed.Length] : file));
            Directory.Move(unfinished, whole);
        }
        catch (IOException) when (Directory.Exists(whole))
        {
            // Another process was faster; its folder has the same content.
        }
        finally
        {
            if (Directory.Exists(unfinished))
                Directory.Delete(unfinished, recursive: true);
        }
        return whole;
    }

    private static bool IsCompressed(string path) => path.EndsWith(Compressed, StringComparison.Ordinal);

    private static void Unpack(string from, string to)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        using FileStream source = File.OpenRead(from),
            destination = new(to, FileMode.CreateNew);
        using Stream content = IsCompressed(from) ? new BrotliStream(source, CompressionMode.Decompress) : source;
        content.CopyTo(destination);
    }

    private static string Digest(string folder, string[] files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in files)
        {
            byte[] content = File.ReadAllBytes(Path.Combine(folder, file));
            hash.AppendData(Encoding.UTF8.GetBytes($"{file}\0{content.Length}\0"));
            hash.AppendData(content);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8));
    }
}
