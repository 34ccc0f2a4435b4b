using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>
/// Resized and cropped images, one byte per value, with their classes, for evaluation or the validation steps of the search. Thread-safe.
/// </summary>
internal sealed class PreparedImages
{
    private readonly ClipImageProcessor _processor;

    /// <param name="images">[3, size, size] each, as <see cref="ClipImageProcessor.Prepare(RgbImage)"/> returns them.</param>
    /// <param name="labels">The class index of each image.</param>
    /// <param name="processor">The processor that prepared them.</param>
    /// <param name="weights">Weight of each image in the loss; null: all equal.</param>
    public PreparedImages(
        IReadOnlyList<byte[]> images,
        IReadOnlyList<int> labels,
        ClipImageProcessor processor,
        IReadOnlyList<float>? weights = null
    )
    {
        if (weights is not null && weights.Count != labels.Count)
            throw new ArgumentException($"{weights.Count} weights do not go with {labels.Count} labels.", nameof(weights));
        if (labels.Count != images.Count)
            throw new ArgumentException($"{labels.Count} labels do not go with {images.Count} images.", nameof(labels));
        int expected = 3 * processor.ImageSize * processor.ImageSize;
        if (images.FirstOrDefault(p => p.Length != expected) is { } wrong)
            throw new ArgumentException($"An image has {wrong.Length} bytes instead of {expected}.", nameof(images));
        (Images, Labels, Weights, _processor) = (images, labels, weights, processor);
    }

    public int Count => Images.Count;

    /// <summary>[3, size, size] each.</summary>
    public IReadOnlyList<byte[]> Images { get; }

    /// <summary>The class index of every image.</summary>
    public IReadOnlyList<int> Labels { get; }

    /// <summary>Weight of every image in the loss; null: all equal.</summary>
    public IReadOnlyList<float>? Weights { get; }

    /// <summary>Prepares images one after another, with only one full-size image in memory at a time.</summary>
    public static PreparedImages Prepare(
        IEnumerable<RgbImage> images,
        IReadOnlyList<int> labels,
        ClipImageProcessor processor,
        CancellationToken cancellationToken = default
    )
    {
        var prepared = new List<byte[]>(labels.Count);
        foreach (RgbImage image in images)
        {
            cancellationToken.ThrowIfCancellationRequested();
            prepared.Add(processor.Prepare(image));
        }
        return new PreparedImages(prepared, labels, processor);
    }

    /// <summary>The images in their order, the same in every epoch.</summary>
    public IBatchSource InOrder(int batchSize, Device device) => new Batches(this, EpochOrder.Fixed(Rows(), batchSize), device);

    /// <summary>The images in an order that is determined by the seed and the epoch.</summary>
    public IBatchSource Shuffled(int batchSize, int seed, Device device) =>
        new Batches(this, EpochOrder.Shuffle(Rows(), batchSize, seed, "validation shuffle"), device);

    private int[] Rows() => [.. Enumerable.Range(0, Count)];

    private sealed class Batches(PreparedImages images, EpochOrder order, Device device) : IBatchSource
    {
        public int BatchesPerEpoch => order.BatchesPerEpoch;

        public ImageBatch Read(int epoch, int index)
        {
            LibTorch.EnsureLoaded();
            using var scope = NewDisposeScope();
            int[] rows = order.Batch(epoch, index).ToArray();
            int size = images._processor.ImageSize;
            byte[] bytes = [.. rows.SelectMany(r => images.Images[r])];
            ImageBatch batch = ImageBatch.Create(
                tensor(bytes, [rows.Length, 3, size, size], ScalarType.Byte),
                rows.Select(r => images.Labels[r]),
                images._processor,
                device,
                images.Weights is null ? null : rows.Select(r => images.Weights[r])
            );
            return batch with { SourceRows = rows };
        }
    }
}
