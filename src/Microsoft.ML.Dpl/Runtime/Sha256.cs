using System.Security.Cryptography;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>SHA-256 digests as files, messages and metadata show them: 64 lower-case hexadecimal digits.</summary>
internal sealed class Sha256 : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>The digest of bytes in memory.</summary>
    public static string Compute(ReadOnlySpan<byte> bytes) => Shown(SHA256.HashData(bytes));

    /// <summary>The digest of a stream from its position to its end.</summary>
    public static string Compute(Stream stream) => Shown(SHA256.HashData(stream));

    /// <summary>Adds bytes to those that <see cref="Finish"/> digests.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Returns the digest of everything appended since the previous call, and starts an empty one.</summary>
    public string Finish() => Shown(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();

    /// <summary>A digest as lower-case hexadecimal digits.</summary>
    public static string Shown(byte[] digest) => Convert.ToHexString(digest).ToLowerInvariant();
}
