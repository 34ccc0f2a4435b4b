using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Images ready for the image tower, and their classes. Owns its tensors.</summary>
/// <param name="Images">[batch, 3, size, size] float32, normalised</param>
/// <param name="Labels">[batch] int64, class indices from 0</param>
/// <param name="Weights">[batch] float32, how much each image's loss counts, 1 on average over all batches; null where all count
/// alike</param>
/// <param name="SourceRows">Which images of their source these are, for messages; null where that is not known.</param>
internal sealed record ImageBatch(Tensor Images, Tensor Labels, Tensor? Weights = null, IReadOnlyList<int>? SourceRows = null) : IDisposable
{
    /// <summary>Moves images to the device and normalises them there. No dispose scope owns the result.</summary>
    /// <param name="pixels">[batch, 3, size, size] uint8 on the CPU; stays the caller's.</param>
    /// <param name="labels">One class index for each image.</param>
    /// <param name="processor">Knows the channels' means and deviations.</param>
    /// <param name="device">Where the batch is used.</param>
    /// <param name="weights">One for each image, or null.</param>
    public static ImageBatch Create(
        Tensor pixels,
        IEnumerable<int> labels,
        ClipImageProcessor processor,
        Device device,
        IEnumerable<float>? weights = null
    )
    {
        using var scope = NewDisposeScope();
        Tensor images = processor.Normalise(pixels.to(device));
        Tensor indices = tensor([.. labels.Select(l => (long)l)], device: device);
        Tensor? counts = weights is null ? null : NativeTensor.From(weights.ToArray(), device: device);
        return new ImageBatch(images.DetachFromDisposeScope(), indices.DetachFromDisposeScope(), counts?.DetachFromDisposeScope());
    }

    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
        Weights?.Dispose();
    }
}

/// <summary>Batches that depend on nothing but their epoch and index, so that they can be made ahead, or again after a restart.</summary>
internal interface IBatchSource
{
    int BatchesPerEpoch { get; }

    /// <summary>Batch <paramref name="index"/> of <paramref name="epoch"/>, both from 0. The caller disposes it.</summary>
    ImageBatch Read(int epoch, int index);
}
