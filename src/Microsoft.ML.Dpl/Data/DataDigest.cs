using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchSharp;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Tells one set of labelled images from another: SHA-256 over pixels, classes and weights, in their order.</summary>
internal static class DataDigest
{
    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Of(ImageCache images, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int i = 0; i < images.Count; i++)
        {
            using var scope = torch.NewDisposeScope();
            torch.Tensor rows = images[i].permute(1, 2, 0).contiguous();
            hash.AppendData(MemoryMarshal.AsBytes<long>(rows.shape));
            hash.AppendData(rows.bytes);
        }
        return Finish(hash, labels, weights);
    }

    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Of(PreparedImages images)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (byte[] image in images.Images)
            hash.AppendData(image);
        return Finish(hash, images.Labels, images.Weights);
    }

    private static string Finish(IncrementalHash hash, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>(labels.ToArray()));
        hash.AppendData(MemoryMarshal.AsBytes<float>(weights?.ToArray() ?? []));
        return Convert.ToHexString(hash.GetHashAndReset()).ToLowerInvariant();
    }
}
