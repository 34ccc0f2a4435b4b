using System.Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Preprocesses decoded images for a folded image tower, and owns the tower. Thread-safe, except for disposal, which the owner
/// must synchronize.</summary>
internal sealed class ImageEncoder : IDisposable
{
    private readonly Lease<ImageWeights> _image;
    private readonly Lazy<Lease<PackedTower>?>? _packed; // made by the first prediction, as many models are only trained and saved
    private readonly ClipImageProcessor _processor;
    private readonly Device _device;
    private readonly double _covered; // fraction of the crop's side that whole patches cover

    /// <param name="backbone">The CLIP; its image tower is rented until this object is disposed.</param>
    /// <param name="fold">Creates the tower; this object takes ownership of it.</param>
    /// <param name="device">The device to compute on.</param>
    public ImageEncoder(ClipBackbone backbone, Func<ImageWeights, FoldedImageTower> fold, Device device)
    {
        (_processor, _device) = (backbone.CreateImageProcessor(), device);
        _covered = (double)backbone.Config.Grid * backbone.Config.PatchSize / backbone.Config.ImageSize;
        _image = backbone.RentImageTower(device);
        try
        {
            ImageWeights weights = _image.Value;
            Tower = fold(weights);
            if (PackedTower.IsWorthwhileFor(weights))
            {
                _packed = new(() => Packed(weights));
                Tower.Packed = () => _packed.Value?.Value;
            }
        }
        catch
        {
            // A lease that is never returned would keep CLIP in memory for the life of the process.
            _image.Dispose();
            throw;
        }
    }

    public FoldedImageTower Tower { get; }

    /// <summary>The image preprocessing.</summary>
    public ClipImageProcessorConfig Preprocessing => _processor.Config;

    /// <summary>Resizes and crops one image. Returns [3, size, size] bytes, channel first.</summary>
    public byte[] Prepare(RgbImage image) => _processor.Prepare(image);

    /// <summary>Normalises prepared images for the tower. Returns [n, 3, size, size] in the caller's dispose scope.</summary>
    public Tensor Normalised(IReadOnlyList<byte[]> prepared)
    {
        int size = _processor.ImageSize;
        Tensor pixels = empty([prepared.Count, 3, size, size], ScalarType.Byte);
        for (int i = 0; i < prepared.Count; i++)
            prepared[i].CopyTo(pixels.bytes.Slice(i * 3 * size * size, 3 * size * size));
        return _processor.Normalise(pixels.to(_device));
    }

    /// <summary>The rectangle of an image that whole patches cover, in pixels of the image.</summary>
    public RectangleF Seen(int width, int height)
    {
        var (x, y, across, down) = _processor.CropOf(width, height);
        // Pixels that do not fill a whole patch are at the right and bottom edges.
        return new RectangleF((float)x, (float)y, (float)(across * _covered), (float)(down * _covered));
    }

    public void Dispose()
    {
        Tower.Dispose();
        if (_packed is { IsValueCreated: true })
            _packed.Value?.Dispose();
        _image.Dispose();
    }

    /// <summary>The packed copy that all models of one CLIP share; null if there is not enough memory for it.</summary>
    private static Lease<PackedTower>? Packed(ImageWeights weights)
    {
        try
        {
            return SharedWeights.Rent((typeof(PackedTower), weights.Blocks), () => PackedTower.From(weights));
        }
        catch (Exception e) when (MemoryShortage.IsUntold(e))
        {
            return null; // the copy saves time, but predictions do not depend on it
        }
    }
}
