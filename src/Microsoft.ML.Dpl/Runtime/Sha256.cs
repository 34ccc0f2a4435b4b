using System.Security.Cryptography;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>SHA-256 in the form that files, messages and metadata show: 64 lower-case hexadecimal digits.</summary>
internal sealed class Sha256 : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>The digest of bytes in memory.</summary>
    public static string Compute(ReadOnlySpan<byte> bytes) => Shown(SHA256.HashData(bytes));

    /// <summary>The digest of a stream from its position to its end.</summary>
    public static string Compute(Stream stream) => Shown(SHA256.HashData(stream));

    /// <summary>Adds bytes to those that <see cref="Finish"/> digests.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>The digest of everything that was appended; the next digest begins empty.</summary>
    public string Finish() => Shown(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();

    /// <summary>A digest as it is shown.</summary>
    public static string Shown(byte[] digest) => Convert.ToHexString(digest).ToLowerInvariant();
}
