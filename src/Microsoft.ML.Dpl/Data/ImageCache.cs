using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>
/// Decoded training images as bytes, reduced to the size that random crops need: the short side has at most twice the image size, or a
/// smaller multiple, down to one, if the set would not fit into the allowed memory; images are never enlarged. Reading is thread-safe.
/// </summary>
internal sealed class ImageCache : IDisposable
{
    /// <summary>Bounds of the short side, in sixteenths of the image size, from the best to the smallest useful one.</summary>
    private static readonly int[] BoundsInSixteenths = [32, 28, 24, 20, 16];

    private readonly List<Tensor> _images = [];
    private readonly int _imageSize;
    private int _bound; // index into the bounds above

    private ImageCache(int imageSize) => _imageSize = imageSize;

    /// <summary>Number of images.</summary>
    public int Count => _images.Count;

    /// <summary>Size of all pixels in bytes.</summary>
    public long Bytes { get; private set; }

    /// <summary>Largest short side of an image in pixels.</summary>
    public int ShortSideBound => ShortSideAt(_bound);

    /// <summary>An image, owned by the cache.</summary>
    /// <returns>[3, height, width] uint8 on the CPU, interleaved by pixel in memory (the fastest order for cropping and
    /// resizing).</returns>
    public Tensor this[int index] => _images[index];

    /// <summary>Adds all images one after another, with only one full-size image in memory at a time.</summary>
    /// <param name="images">The images, decoded during enumeration.</param>
    /// <param name="imageSize">Side in pixels of the image tower's input.</param>
    /// <param name="maximumBytes">Largest size of all pixels in bytes.</param>
    /// <param name="cancellationToken">Cancellation, checked before every image.</param>
    /// <exception cref="InvalidOperationException">The images do not fit even at the smallest useful size; the message says how much memory
    /// they need.</exception>
    public static ImageCache Build(
        IEnumerable<RgbImage> images,
        int imageSize,
        long maximumBytes,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(imageSize, 1);
        LibTorch.EnsureLoaded();
        var cache = new ImageCache(imageSize);
        try
        {
            long needed = 0;
            foreach (RgbImage image in images)
            {
                cancellationToken.ThrowIfCancellationRequested();
                needed += BytesAt(imageSize, image.Height, image.Width);
                if (needed > maximumBytes)
                    cache.Clear(); // further images are only counted, for the message
                else
                    cache.Add(image, maximumBytes);
            }
            if (needed > maximumBytes)
                throw new InvalidOperationException(
                    $"The training images need {Megabytes(needed)} MB of memory even with {imageSize} pixels on the short side, "
                        + $"more than the {maximumBytes >> 20} MB allowed: set Images.CacheMegabytes to {Megabytes(needed)} or more, or "
                        + "train on fewer images."
                );
            return cache;
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    public void Dispose() => Clear();

    private void Add(RgbImage image, long maximumBytes)
    {
        // Shrink before adding the image, so that the bound holds at all times.
        while (Bytes + BytesAt(ShortSideBound, image.Height, image.Width) > maximumBytes && _bound < BoundsInSixteenths.Length - 1)
        {
            _bound++;
            for (int i = 0; i < _images.Count; i++)
            {
                using Tensor larger = _images[i];
                _images[i] = Reduced(larger, ShortSideBound);
            }
            Bytes = _images.Sum(p => p.NumberOfElements);
        }
        using Tensor whole = ImageResizing.WeightedByAlpha(image);
        _images.Add(Reduced(whole, ShortSideBound));
        Bytes += _images[^1].NumberOfElements;
    }

    /// <summary>A reduced copy, detached from dispose scopes.</summary>
    private static Tensor Reduced(Tensor image, int bound)
    {
        using var scope = NewDisposeScope();
        Tensor resized = Math.Min(image.shape[1], image.shape[2]) > bound ? ImageResizing.ResizeShortSide(image, bound) : image.clone();
        return ImageResizing.WithoutAlpha(resized).permute(1, 2, 0).contiguous().permute(2, 0, 1).DetachFromDisposeScope();
    }

    private void Clear()
    {
        foreach (Tensor image in _images)
            image.Dispose();
        _images.Clear();
        Bytes = 0;
    }

    private int ShortSideAt(int bound) => _imageSize * BoundsInSixteenths[bound] / 16;

    private static long BytesAt(int bound, long height, long width)
    {
        long shortSide = Math.Min(height, width),
            reduced = Math.Min(shortSide, bound);
        return 3 * (height * reduced / shortSide) * (width * reduced / shortSide);
    }

    private static long Megabytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}

/// <summary>Identifies a set of labelled images: SHA-256 over pixels, classes and weights, in their order.</summary>
internal static class DataDigest
{
    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Compute(ImageCache images, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        using var hash = new Sha256();
        for (int i = 0; i < images.Count; i++)
        {
            using var scope = torch.NewDisposeScope();
            torch.Tensor rows = images[i].permute(1, 2, 0).contiguous();
            hash.Append(MemoryMarshal.AsBytes<long>(rows.shape));
            hash.Append(rows.bytes);
        }
        return Finish(hash, labels, weights);
    }

    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Compute(PreparedImages images)
    {
        using var hash = new Sha256();
        foreach (byte[] image in images.Images)
            hash.Append(image);
        return Finish(hash, images.Labels, images.Weights);
    }

    /// <returns>64 lower-case hexadecimal digits.</returns>
    public static string Compute(IReadOnlyList<float> weights)
    {
        using var hash = new Sha256();
        return Finish(hash, [], weights);
    }

    private static string Finish(Sha256 hash, IReadOnlyList<int> labels, IReadOnlyList<float>? weights)
    {
        hash.Append(MemoryMarshal.AsBytes<int>(labels.ToArray()));
        hash.Append(MemoryMarshal.AsBytes<float>(weights?.ToArray() ?? []));
        return hash.Finish();
    }
}
