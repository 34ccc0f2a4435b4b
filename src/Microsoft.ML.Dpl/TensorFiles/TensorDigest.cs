using System.Security.Cryptography;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>SHA-256 over the values of named tensors: ML.NET's zip reader does not compare checksums, and a changed bit in a weight would
/// only show as a worse model.</summary>
internal static class TensorDigest
{
    /// <summary>The metadata field that keeps it.</summary>
    public const string Name = "sha256";

    /// <summary>Lower-case hexadecimal, over the bytes of the tensors in the ordinal order of their names; they may lie on any
    /// device.</summary>
    public static string Of(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Tensor tensor in tensors.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value))
        {
            using var scope = NewDisposeScope();
            hash.AppendData(tensor.detach().cpu().contiguous().bytes);
        }
        return Convert.ToHexString(hash.GetHashAndReset()).ToLowerInvariant();
    }
}
