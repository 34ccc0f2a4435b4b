using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class BatchSourceTests : IDisposable
{
    private const int Size = 16;
    private static readonly int[] Labels = [.. Enumerable.Range(0, 11).Select(i => i % 3)];
    private readonly ClipImageProcessor _processor = ClipImageProcessor.Default(Size);
    private readonly ImageCache _cache = ImageCache.Build(Labels.Select((_, i) => TestImages.Random(40 + i, 50 - i, i)), Size, 1 << 20);

    public void Dispose() => _cache.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TwoRunsGiveTheSameBits(bool augmented) =>
        Assert.Equal(TestImages.ReadAll(Training(seed: 3, augmented), 3), TestImages.ReadAll(Training(seed: 3, augmented), 3));

    [Fact]
    public void ABatchDoesNotDependOnWhatWasReadBefore()
    {
        IBatchSource source = Training(seed: 3),
            other = Training(seed: 3);
        var expected = TestImages.Values(source.Read(2, 1));
        TestImages.Values(other.Read(5, 0));
        TestImages.Values(other.Read(2, 2));
        Assert.Equal(expected, TestImages.Values(other.Read(2, 1)));
        var parallel = Enumerable
            .Range(0, 12)
            .AsParallel()
            .WithDegreeOfParallelism(3)
            .Select(i => (i, Batch: TestImages.Values(other.Read(i % 4, i % 3))))
            .ToArray();
        Assert.All(parallel, p => Assert.Equal(TestImages.Values(source.Read(p.i % 4, p.i % 3)), p.Batch));
    }

    [Fact]
    public void EpochsAndSeedsDiffer()
    {
        IBatchSource source = Training(seed: 3, augmented: false);
        var epochs = Enumerable.Range(0, 4).Select(e => TestImages.Values(source.Read(e, 0)).Images).ToArray();
        Assert.Contains(epochs, e => !e.SequenceEqual(epochs[0]));
        Assert.NotEqual(
            epochs,
            Enumerable.Range(0, 4).Select(e => TestImages.Values(Training(seed: 4, augmented: false).Read(e, 0)).Images)
        );
    }

    [Fact]
    public void EveryRowComesOnceAnEpochWithItsLabel()
    {
        int[] rows = [10, 1, 2, 3, 5, 8];
        IBatchSource source = new TrainingBatches(_cache, Labels, rows, 4, 1, _processor, null, torch.CPU);
        Assert.Equal(2, source.BatchesPerEpoch);
        var prepared = rows.ToDictionary(r => Convert.ToHexString(AsBytes(r)), r => r);
        var seen = new List<int>();
        foreach (int index in (int[])[0, 1])
        {
            using ImageBatch batch = source.Read(7, index);
            Assert.Equal([index == 0 ? 4 : 2, 3, Size, Size], batch.Images.shape);
            for (int i = 0; i < batch.Images.shape[0]; i++)
            {
                int row = prepared[
                    Convert.ToHexString(
                        System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(batch.Images[i].data<float>().ToArray())
                    )
                ];
                Assert.Equal(Labels[row], batch.Labels[i].item<long>());
                seen.Add(row);
            }
        }
        Assert.Equal(rows.Order(), seen.Order());
    }

    [Theory]
    [InlineData(5, 3)]
    [InlineData(11, 1)]
    [InlineData(12, 1)]
    [InlineData(int.MaxValue, 1)]
    public void ABatchMayBeLargerThanTheData(int batchSize, int batches)
    {
        IBatchSource source = new TrainingBatches(
            _cache,
            Labels,
            [.. Enumerable.Range(0, Labels.Length)],
            batchSize,
            1,
            _processor,
            null,
            torch.CPU
        );
        Assert.Equal(batches, source.BatchesPerEpoch);
        int rows = 0;
        for (int index = 0; index < batches; index++)
        {
            using ImageBatch batch = source.Read(1, index);
            rows += (int)batch.Labels.shape[0];
        }
        Assert.Equal(Labels.Length, rows);
    }

    [Fact]
    public void AugmentsEachImageAfreshInEveryEpoch()
    {
        IBatchSource source = new TrainingBatches(_cache, Labels, [4], 1, 1, _processor, new TrainingAugmentation(Size), torch.CPU);
        string[] views = [.. Enumerable.Range(0, 20).Select(e => string.Join(' ', TestImages.Values(source.Read(e, 0)).Images))];
        Assert.Equal(20, views.Distinct().Count());
    }

    [Fact]
    public void PreparedImagesComeInOrder()
    {
        RgbImage[] images = [.. Enumerable.Range(0, 5).Select(i => TestImages.Random(30, 20 + i, i))];
        PreparedImages prepared = PreparedImages.Prepare(images, [2, 0, 1, 1, 0], _processor);
        IBatchSource source = prepared.InOrder(2, torch.CPU);
        Assert.Equal(3, source.BatchesPerEpoch);
        var batches = TestImages.ReadAll(source, 1);
        Assert.Equal([2, 0, 1, 1, 0], batches.SelectMany(b => b.Labels));
        using var scope = torch.NewDisposeScope();
        float[] expected = _processor.Normalise(torch.tensor(_processor.Prepare(images[4]), [1, 3, Size, Size])).data<float>().ToArray();
        Assert.Equal(expected, batches[2].Images);
        Assert.Equal(batches, TestImages.ReadAll(source, 2).Skip(3));
    }

    [Fact]
    public void PreparedImagesAreReshuffledEveryEpoch()
    {
        PreparedImages prepared = PreparedImages.Prepare(
            Enumerable.Range(0, 9).Select(i => TestImages.Random(20, 20, i)),
            [.. Enumerable.Range(0, 9)],
            _processor
        );
        IBatchSource source = prepared.Shuffled(4, seed: 5, torch.CPU);
        long[][] epochs =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(e => Enumerable.Range(0, 3).SelectMany(i => TestImages.Values(source.Read(e, i)).Labels).ToArray()),
        ];
        Assert.All(epochs, e => Assert.Equal(Enumerable.Range(0, 9).Select(i => (long)i), e.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.Equal(TestImages.ReadAll(source, 2), TestImages.ReadAll(prepared.Shuffled(4, seed: 5, torch.CPU), 2));
    }

    [Fact]
    public void EveryImageComesWithItsWeight()
    {
        int[] labels = [.. Enumerable.Range(0, Labels.Length)];
        float[] weights = [.. labels.Select(l => 2f * l + 0.5f)];
        PreparedImages prepared = PreparedImages.Prepare(labels.Select(i => TestImages.Random(20, 20, i)), labels, _processor);
        foreach (
            IBatchSource source in (IBatchSource[])
                [
                    new TrainingBatches(_cache, labels, labels, 4, 1, _processor, null, torch.CPU, weights),
                    new PreparedImages(prepared.Images, labels, _processor, weights).Shuffled(4, seed: 5, torch.CPU),
                ]
        )
        {
            for (int index = 0; index < source.BatchesPerEpoch; index++)
            {
                using ImageBatch batch = source.Read(1, index);
                Assert.Equal(batch.Labels.data<long>().ToArray().Select(l => weights[l]), batch.Weights!.data<float>().ToArray());
            }
        }
        using ImageBatch unweighted = Training(1).Read(0, 0);
        Assert.Null(unweighted.Weights);
        Assert.Throws<ArgumentException>(() => new PreparedImages(prepared.Images, labels, _processor, [1]));
    }

    [Fact]
    public void RefusesWhatDoesNotFitTogether()
    {
        Assert.Throws<ArgumentException>(() => new TrainingBatches(_cache, [1], [0], 1, 1, _processor, null, torch.CPU));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrainingBatches(_cache, Labels, [11], 1, 1, _processor, null, torch.CPU));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrainingBatches(_cache, Labels, [0], 0, 1, _processor, null, torch.CPU));
        Assert.Throws<ArgumentException>(() =>
            new TrainingBatches(_cache, Labels, [0], 1, 1, _processor, new TrainingAugmentation(Size + 1), torch.CPU)
        );
        Assert.Throws<ArgumentException>(() => new PreparedImages([new byte[5]], [0], _processor));
        Assert.Throws<ArgumentOutOfRangeException>(() => Training(1).Read(0, 3));
    }

    [Fact]
    public void BatchesAreTheirReadersToDispose()
    {
        ImageBatch batch;
        using (torch.NewDisposeScope())
            batch = Training(1).Read(0, 0);
        Assert.False(batch.Images.IsInvalid || batch.Labels.IsInvalid);
        batch.Dispose();
        Assert.True(batch.Images.IsInvalid && batch.Labels.IsInvalid);
    }

    private TrainingBatches Training(int seed, bool augmented = true) =>
        new(
            _cache,
            Labels,
            [.. Enumerable.Range(0, Labels.Length)],
            4,
            seed,
            _processor,
            augmented ? new TrainingAugmentation(Size) : null,
            torch.CPU
        );

    private byte[] AsBytes(int row)
    {
        using var scope = torch.NewDisposeScope();
        return System
            .Runtime.InteropServices.MemoryMarshal.AsBytes<float>(
                _processor.Normalise(_processor.Prepare(_cache[row]).unsqueeze(0)).data<float>().ToArray()
            )
            .ToArray();
    }
}
