using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class ReadAheadBatchesTests
{
    /// <summary>A source whose batches hold only their epoch and index, and which records what it was asked for.</summary>
    private sealed class Numbered(int failingIndex = -1) : IBatchSource
    {
        public ConcurrentQueue<(int Epoch, int Index)> Asked { get; } = new();

        public ConcurrentBag<ImageBatch> Made { get; } = [];

        public int BatchesPerEpoch => 3;

        public ImageBatch Read(int epoch, int index)
        {
            Asked.Enqueue((epoch, index));
            if (index == failingIndex)
                throw new InvalidDataException($"batch {index} is broken");
            LibTorch.EnsureLoaded();
            var batch = new ImageBatch(torch.tensor((long)epoch), torch.tensor((long)index));
            Made.Add(batch);
            return batch;
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void GivesWhatTheSourceGivesInAnyOrder(int ahead)
    {
        var source = new Numbered();
        using (var batches = new ReadAheadBatches(source, ahead))
        {
            foreach (var (epoch, index) in ((int, int)[])[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (4, 2), (5, 0), (0, 0), (0, 0), (0, 1)])
            {
                using ImageBatch batch = batches.Read(epoch, index);
                Assert.Equal((epoch, index), ((int)batch.Images.item<long>(), (int)batch.Labels.item<long>()));
            }
        }
        Assert.All(source.Made, b => Assert.True(b.Images.IsInvalid && b.Labels.IsInvalid));
    }

    [Fact]
    public void MakesTheNextBatchWhileTheCurrentOneIsUsed()
    {
        var source = new Numbered();
        using var batches = new ReadAheadBatches(source, 2);
        batches.Read(0, 1).Dispose();
        Assert.True(SpinWait.SpinUntil(() => source.Made.Count == 3, TimeSpan.FromSeconds(10)));
        Assert.Equal([(0, 1), (0, 2), (1, 0)], source.Asked);
        batches.Read(0, 2).Dispose();
        batches.Read(1, 0).Dispose();
        Assert.True(SpinWait.SpinUntil(() => source.Made.Count == 5, TimeSpan.FromSeconds(10)));
        Assert.Equal(source.Asked.Distinct(), source.Asked); // no batch was made twice
    }

    [Fact]
    public void ErrorsComeOutOfTheReadThatAsksForTheBatch()
    {
        var source = new Numbered(failingIndex: 1);
        using var batches = new ReadAheadBatches(source);
        batches.Read(0, 0).Dispose();
        Assert.Equal("batch 1 is broken", Assert.Throws<InvalidDataException>(() => batches.Read(0, 1)).Message);
        batches.Read(0, 2).Dispose();
        Assert.Throws<InvalidDataException>(() => batches.Read(0, 1));
    }

    [Fact]
    public void RefusesReadsOnceDisposed()
    {
        var batches = new ReadAheadBatches(new Numbered());
        batches.Read(0, 0).Dispose();
        batches.Dispose();
        batches.Dispose();
        Assert.Throws<ObjectDisposedException>(() => batches.Read(0, 1));
    }

    [Fact]
    public void GivesTheSameBitsAsTheBareSource()
    {
        using ImageCache cache = ImageCache.Build(Enumerable.Range(0, 7).Select(i => TestImages.Random(40, 30 + i, i)), 16, 1 << 20);
        var source = new TrainingBatches(
            cache,
            [0, 1, 2, 3, 4, 5, 6],
            [0, 1, 2, 3, 4, 5, 6],
            3,
            9,
            ClipImageProcessor.Default(16),
            new TrainingAugmentation(16),
            torch.CPU
        );
        using var ahead = new ReadAheadBatches(source, 2);
        Assert.Equal(TestImages.ReadAll(source, 3), TestImages.ReadAll(ahead, 3));
    }
}
