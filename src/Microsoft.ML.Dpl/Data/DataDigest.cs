using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchSharp;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Tells one set of labelled pictures from another: SHA-256 over pixels, classes and weights, in their order.</summary>
internal static class DataDigest
{
    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Of(ImageCache pictures, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int i = 0; i < pictures.Count; i++)
        {
            using var scope = torch.NewDisposeScope();
            torch.Tensor rows = pictures[i].permute(1, 2, 0).contiguous();
            hash.AppendData(MemoryMarshal.AsBytes<long>(rows.shape));
            hash.AppendData(rows.bytes);
        }
        return Finish(hash, labels, weights);
    }

    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Of(PreparedImages pictures)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (byte[] picture in pictures.Pictures) hash.AppendData(picture);
        return Finish(hash, pictures.Labels, pictures.Weights);
    }

    private static string Finish(IncrementalHash hash, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>(labels.ToArray()));
        hash.AppendData(MemoryMarshal.AsBytes<float>(weights?.ToArray() ?? []));
        return Convert.ToHexString(hash.GetHashAndReset()).ToLowerInvariant();
    }
}
