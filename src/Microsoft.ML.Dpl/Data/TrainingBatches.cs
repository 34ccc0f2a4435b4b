using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>Shuffled batches of cached images, augmented or merely resized and cropped. What a batch holds depends on seed, epoch and index
/// alone. Thread-safe.</summary>
internal sealed class TrainingBatches : IBatchSource
{
    private readonly ImageCache _images;
    private readonly IReadOnlyList<int> _labels;
    private readonly IReadOnlyList<float>? _weights;
    private readonly EpochOrder _order;
    private readonly int _seed;
    private readonly ClipImageProcessor _processor;
    private readonly TrainingAugmentation? _augmentation;
    private readonly Device _device;

    /// <param name="images">The images; not disposed with this.</param>
    /// <param name="labels">The class index of every cached image.</param>
    /// <param name="rows">The cached images to use, for instance one side of a split.</param>
    /// <param name="batchSize">Images in a batch, at least 1; the last of an epoch may have fewer.</param>
    /// <param name="seed">Decides orders and crops.</param>
    /// <param name="processor">Resizes and crops where nothing is augmented, and normalises.</param>
    /// <param name="augmentation">Null: every image is resized and its middle taken, as at prediction.</param>
    /// <param name="device">Where the batches are used.</param>
    /// <param name="weights">How much each cached image's loss counts; null: all alike.</param>
    public TrainingBatches(
        ImageCache images,
        IReadOnlyList<int> labels,
        IReadOnlyList<int> rows,
        int batchSize,
        int seed,
        ClipImageProcessor processor,
        TrainingAugmentation? augmentation,
        Device device,
        IReadOnlyList<float>? weights = null
    )
    {
        if (weights is not null && weights.Count != labels.Count)
            throw new ArgumentException($"{weights.Count} weights do not go with {labels.Count} labels.", nameof(weights));
        if (labels.Count != images.Count)
            throw new ArgumentException($"{labels.Count} labels do not go with {images.Count} images.", nameof(labels));
        if (augmentation is not null && augmentation.ImageSize != processor.ImageSize)
            throw new ArgumentException("The augmentation's image size is not the processor's.", nameof(augmentation));
        foreach (int row in rows)
            if ((uint)row >= (uint)labels.Count)
                throw new ArgumentOutOfRangeException(nameof(rows), row, $"There are {labels.Count} images.");
        (_images, _labels, _weights, _seed, _processor, _augmentation, _device) = (
            images,
            labels,
            weights,
            seed,
            processor,
            augmentation,
            device
        );
        _order = EpochOrder.Shuffle(rows, batchSize, seed, "shuffle");
    }

    /// <inheritdoc/>
    public int BatchesPerEpoch => _order.BatchesPerEpoch;

    /// <inheritdoc/>
    public ImageBatch Read(int epoch, int index)
    {
        using var scope = NewDisposeScope();
        int[] rows = _order.Batch(epoch, index).ToArray();
        Tensor bytes = empty([rows.Length, 3, _processor.ImageSize, _processor.ImageSize], ScalarType.Byte);
        for (int i = 0; i < rows.Length; i++)
        {
            using var image = NewDisposeScope();
            bytes[i].copy_(Prepare(_images[rows[i]], epoch, rows[i]));
        }
        return ImageBatch.Create(
            bytes,
            rows.Select(r => _labels[r]),
            _processor,
            _device,
            _weights is null ? null : rows.Select(r => _weights[r])
        ) with
        {
            SourceRows = rows,
        };
    }

    private Tensor Prepare(Tensor image, int epoch, int row)
    {
        if (_augmentation is null)
            return _processor.Prepare(image);
        Crop crop = _augmentation.Draw((int)image.shape[1], (int)image.shape[2], Seeds.Random(_seed, "augmentation", epoch, row));
        return _augmentation.Apply(image, crop);
    }
}
