using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>
/// Shuffled batches of cached images, either augmented or only resized and cropped. The content of a batch depends only on seed, epoch and
/// index. Thread-safe.
/// </summary>
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

    /// <param name="images">The images; not owned.</param>
    /// <param name="labels">The class index of every cached image.</param>
    /// <param name="rows">The cached images to use, for instance one side of a split.</param>
    /// <param name="batchSize">Images per batch, at least 1; the last batch of an epoch may have fewer.</param>
    /// <param name="seed">Seed of orders and crops.</param>
    /// <param name="processor">The processor that normalises, and without augmentation also resizes and crops.</param>
    /// <param name="augmentation">The augmentation; null: every image is resized and centre-cropped, as in prediction.</param>
    /// <param name="device">The device of the batches.</param>
    /// <param name="weights">Weight of each cached image in the loss; null: all equal.</param>
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

/// <summary>
/// Determines the rows of each batch: in the given order, or newly shuffled for every epoch; the last batch may be smaller. Thread-safe.
/// </summary>
internal sealed class EpochOrder
{
    private readonly int[] _rows;
    private readonly int _batchSize;
    private readonly Func<int, Random>? _random;
    private volatile Shuffled? _latest;

    private EpochOrder(IReadOnlyList<int> rows, int batchSize, Func<int, Random>? random)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        (_rows, _batchSize, _random) = ([.. rows], batchSize, random);
    }

    private sealed record Shuffled(int Epoch, int[] Rows);

    /// <summary>The same order in every epoch.</summary>
    public static EpochOrder Fixed(IReadOnlyList<int> rows, int batchSize) => new(rows, batchSize, null);

    /// <summary>A new order for each epoch, determined only by <paramref name="seed"/>, <paramref name="purpose"/> and the epoch.</summary>
    public static EpochOrder Shuffle(IReadOnlyList<int> rows, int batchSize, int seed, string purpose) =>
        new(rows, batchSize, epoch => Seeds.Random(seed, purpose, epoch));

    // Rounds up without adding the batch size, which could overflow.
    public int BatchesPerEpoch => _rows.Length == 0 ? 0 : (_rows.Length - 1) / _batchSize + 1;

    /// <summary>The rows of batch <paramref name="index"/> of <paramref name="epoch"/>, both from 0.</summary>
    public ReadOnlySpan<int> Batch(int epoch, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(epoch);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, BatchesPerEpoch);
        int start = index * _batchSize;
        return Rows(epoch).AsSpan(start, Math.Min(_batchSize, _rows.Length - start));
    }

    private int[] Rows(int epoch)
    {
        if (_random is null)
            return _rows;
        if (_latest is { } latest && latest.Epoch == epoch)
            return latest.Rows;
        int[] rows = [.. _rows];
        _random(epoch).Shuffle(rows);
        _latest = new Shuffled(epoch, rows);
        return rows;
    }
}

/// <summary>A crop of an image in pixels, and whether it is flipped horizontally.</summary>
internal readonly record struct Crop(int Top, int Left, int Height, int Width, bool Flip);

/// <summary>
/// Random resized crops and flips: area and aspect ratio are drawn until the crop fits into the image, which is then resized to the image
/// size. Thread-safe.
/// </summary>
/// <param name="ImageSize">Side of the result in pixels.</param>
/// <param name="SmallestArea">Smallest fraction of the image's area, in (0, 1].</param>
/// <param name="LargestArea">Largest fraction of the image's area, in (0, 1].</param>
/// <param name="NarrowestShape">Smallest width / height of the crop.</param>
/// <param name="WidestShape">Largest width / height of the crop.</param>
/// <param name="FlipProbability">Probability of a horizontal flip, in [0, 1].</param>
internal sealed record TrainingAugmentation(
    int ImageSize,
    double SmallestArea = 0.08,
    double LargestArea = 1,
    double NarrowestShape = 3.0 / 4,
    double WidestShape = 4.0 / 3,
    double FlipProbability = 0.5
)
{
    private const int Tries = 10;

    /// <summary>Draws a crop of an image of <paramref name="height"/> × <paramref name="width"/> pixels.</summary>
    public Crop Draw(int height, int width, Random random)
    {
        Crop crop = DrawPart(height, width, random);
        return crop with { Flip = random.NextDouble() < FlipProbability };
    }

    /// <summary>Crops, resizes (bicubic, antialiased) and flips.</summary>
    /// <param name="image">[3, height, width] uint8 on the CPU; owned by the caller.</param>
    /// <param name="crop">A crop within the image.</param>
    /// <returns>[3, size, size] uint8, in the caller's dispose scope.</returns>
    public Tensor Apply(Tensor image, Crop crop)
    {
        using var scope = NewDisposeScope();
        Tensor part = image.narrow(1, crop.Top, crop.Height).narrow(2, crop.Left, crop.Width);
        Tensor resized = ImageResizing.Resize(part, ImageSize, ImageSize);
        return (crop.Flip ? resized.flip(2) : resized).MoveToOuterDisposeScope();
    }

    private Crop DrawPart(int height, int width, Random random)
    {
        double area = (double)height * width;
        for (int i = 0; i < Tries; i++)
        {
            double target = area * Between(SmallestArea, LargestArea, random);
            double shape = Math.Exp(Between(Math.Log(NarrowestShape), Math.Log(WidestShape), random));
            int w = (int)Math.Round(Math.Sqrt(target * shape)),
                h = (int)Math.Round(Math.Sqrt(target / shape));
            if (w > 0 && w <= width && h > 0 && h <= height)
                return new Crop(random.Next(height - h + 1), random.Next(width - w + 1), h, w, false);
        }
        return MiddlePart(height, width);
    }

    /// <summary>The largest centred crop with an allowed aspect ratio.</summary>
    private Crop MiddlePart(int height, int width)
    {
        double shape = (double)width / height;
        int w = shape > WidestShape ? (int)Math.Round(height * WidestShape) : width;
        int h = shape < NarrowestShape ? (int)Math.Round(width / NarrowestShape) : height;
        return new Crop((height - h) / 2, (width - w) / 2, h, w, false);
    }

    private static double Between(double low, double high, Random random) => low + (high - low) * random.NextDouble();
}
