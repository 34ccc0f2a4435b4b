using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Pictures ready for the image tower, and their classes. Owns its tensors.</summary>
/// <param name="Images">[batch, 3, size, size] float32, normalised</param>
/// <param name="Labels">[batch] int64, class indices from 0</param>
internal sealed record ImageBatch(Tensor Images, Tensor Labels) : IDisposable
{
    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
    }
}

/// <summary>Batches that depend on nothing but their epoch and index, so that they can be made ahead, or again after a restart.</summary>
internal interface IBatchSource
{
    int BatchesPerEpoch { get; }

    /// <summary>Batch <paramref name="index"/> of <paramref name="epoch"/>, both from 0. The caller disposes it.</summary>
    ImageBatch Read(int epoch, int index);
}
