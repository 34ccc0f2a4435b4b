using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Prompts;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Prompted CLIP with everything constant folded: the image tower and a matrix of class features. Thread-safe.</summary>
internal sealed class PromptScorer : IImageScorer, IDisposable
{
    private readonly Lease<VisionWeights> _vision;
    private readonly FoldedImageTower _tower;
    private readonly Tensor _classFeatures; // [classes, embedding]
    private readonly double _logitScale;
    private readonly ClipImageProcessor _processor;
    private readonly Device _device;
    // Readers score, the writer disposes: a dispose in use waits for the forward passes under way.
    private readonly ReaderWriterLockSlim _use = new();
    private bool _disposed;

    /// <param name="backbone">Its image tower is rented until this is disposed.</param>
    /// <param name="prompts">Not kept.</param>
    /// <param name="batchSize">Most pictures one forward pass takes.</param>
    /// <param name="device">Where it computes.</param>
    public PromptScorer(ClipBackbone backbone, TrainedPrompts prompts, int batchSize, Device device)
    {
        using var scope = NewDisposeScope();
        (_logitScale, _processor, _device, BatchSize) = (prompts.LogitScale, backbone.CreateImageProcessor(), device, batchSize);
        _vision = backbone.RentVision(device);
        try
        {
            _tower = new FoldedImageTower(_vision.Value, [.. prompts.Image.Select(rows => rows?.to(device))]);
            _classFeatures = prompts.ClassFeatures.to(device, copy: true).DetachFromDisposeScope();
        }
        catch
        {
            // A lease that nobody returns would keep CLIP in memory for good.
            _tower?.Dispose();
            _vision.Dispose();
            throw;
        }
    }

    public int BatchSize { get; }

    public byte[] Prepare(RgbImage image) => _processor.Prepare(image);

    public float[][] Score(IReadOnlyList<byte[]> prepared)
    {
        _use.EnterReadLock();
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(PromptScorer));
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            int size = _processor.ImageSize, classes = (int)_classFeatures.shape[0];
            Tensor pixels = empty([prepared.Count, 3, size, size], ScalarType.Byte);
            for (int i = 0; i < prepared.Count; i++) prepared[i].CopyTo(pixels.bytes.Slice(i * 3 * size * size, 3 * size * size));
            Tensor features = _tower.Forward(_processor.Normalise(pixels.to(_device)));
            Tensor probabilities = PromptedClip.Logits(features, _classFeatures, _logitScale).softmax(-1);
            return [.. probabilities.cpu().data<float>().ToArray().Chunk(classes)];
        }
        finally
        {
            _use.ExitReadLock();
        }
    }

    public void Dispose()
    {
        _use.EnterWriteLock();
        try
        {
            if (_disposed) return;
            _disposed = true;
            _tower.Dispose();
            _classFeatures.Dispose();
            _vision.Dispose();
        }
        finally
        {
            _use.ExitWriteLock();
        }
    }
}
