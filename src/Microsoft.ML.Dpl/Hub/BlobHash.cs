using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Checks bytes against the hub's name for them: SHA-256 of a large file's content, or git's SHA-1 of a small one's.</summary>
internal sealed class BlobHash : IDisposable
{
    private const int Chunk = 1 << 20;

    private readonly string _etag;
    private readonly IncrementalHash? _hash;

    /// <param name="etag">64 hexadecimal digits, 40, or anything else, which cannot be checked.</param>
    /// <param name="length">Bytes of the whole file.</param>
    public BlobHash(string etag, long length)
    {
        _etag = etag;
        if (!etag.All(char.IsAsciiHexDigit) || etag.Length is not (64 or 40))
            return;
        _hash = IncrementalHash.CreateHash(etag.Length == 64 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        if (etag.Length == 40)
            _hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {length}\0")));
    }

    /// <summary>Whether the name says what the content is.</summary>
    public bool CanCheck => _hash is not null;

    public void Append(ReadOnlySpan<byte> bytes) => _hash?.AppendData(bytes);

    /// <summary>Appends everything from a stream's position to its end.</summary>
    public void Append(Stream stream, CancellationToken cancellation)
    {
        if (_hash is null)
            return;
        byte[] buffer = new byte[Chunk];
        for (int read; (read = stream.Read(buffer)) > 0; _hash.AppendData(buffer, 0, read))
            cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>Whether what was appended is what the name promises; true where it promises nothing.</summary>
    public bool Matches() =>
        _hash is null || Convert.ToHexString(_hash.GetHashAndReset()).Equals(_etag, StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a whole file; null where its name cannot be checked.</summary>
    public static bool? Check(string path, string etag, CancellationToken cancellation)
    {
        using FileStream stream = File.OpenRead(path);
        using var hash = new BlobHash(etag, stream.Length);
        if (!hash.CanCheck)
            return null;
        hash.Append(stream, cancellation);
        return hash.Matches();
    }

    public void Dispose() => _hash?.Dispose();
}
