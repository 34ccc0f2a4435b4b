using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Attention;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>The number of workers, and whether they use the kernels.</summary>
public class ClipPartsTests
{
    [SkippableTheory]
    [InlineData(1, true, true)]
    [InlineData(2, false, true)]
    [InlineData(3, false, false)]
    public void Workers_with_few_threads_take_the_kernels(int threadsEach, bool images, bool texts)
    {
        SgemmTests.Require();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using var parts = new ClipParts(clip.Text, clip.Image, clip.RandomTexts(4, 3, 2, seed: 1), workers: 2, threadsEach);
        var (body, last, _) = parts.Image(1).LayoutsFor(2);
        Assert.Equal((images, images), (body.ByHead, last.ByHead));
        Assert.Equal((texts, texts), (parts.Texts(1)!.Body.HasKernel, parts.Texts(1)!.Last.HasKernel));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void There_are_as_many_workers_as_threads_or_images(int batch)
    {
        LibTorch.EnsureLoaded();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        using ClipParts? parts = ClipParts.Create(clip.Text, clip.Image, clip.RandomTexts(4, 3, 2, seed: 1), batch);
        int threads = get_num_threads(),
            workers = Math.Min(threads, batch);
        // A single worker with many threads would have no benefit, so none is created.
        if (NativeThreads.CanLimit && (workers > 1 || threads <= 2))
            Assert.Equal(workers, parts!.Team.Count);
        else
            Assert.Null(parts);
    }
}
