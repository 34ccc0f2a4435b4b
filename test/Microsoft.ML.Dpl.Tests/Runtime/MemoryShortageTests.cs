using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Running out of memory is reported in one sentence.</summary>
public sealed class MemoryShortageTests
{
    private const string Cuda =
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.5 GiB of which 1.2 GiB is free.";

    /// <summary>Asks libtorch itself for a pebibyte: the message is its own and may change with its version.</summary>
    [Fact]
    public void The_allocator_of_the_CPU_is_understood()
    {
        Exception error = Assert.ThrowsAny<Exception>(() => empty(1L << 48, ScalarType.Float32));
        Assert.True(MemoryShortage.IsUntold(error), error.ToString());
        InsufficientMemoryException told = MemoryShortage.For(error, "a fit in steps of 8 images", "Lower Training.BatchSize (8).");
        Assert.Equal(
            "There is not enough memory for a fit in steps of 8 images (1073741824 MiB more could not be allocated). Lower "
                + "Training.BatchSize (8).",
            told.Message
        );
        Assert.False(MemoryShortage.IsUntold(told));
    }

    [Fact]
    public void GPUs_and_workers_are_understood_and_other_errors_are_not()
    {
        var gpu = new ExternalException(Cuda);
        Assert.True(MemoryShortage.IsUntold(gpu));
        Assert.Contains("(2.50 GiB more could not be allocated)", MemoryShortage.For(gpu, "this", "").Message);
        var workers = new AggregateException(new InvalidOperationException("other"), gpu);
        Assert.True(MemoryShortage.IsUntold(workers));
        Assert.Contains("2.50 GiB", MemoryShortage.For(workers, "this", "").Message);
        Assert.Equal("There is not enough memory for this. Rest.", MemoryShortage.For(new OutOfMemoryException(), "this", "Rest.").Message);
        Assert.False(MemoryShortage.IsUntold(new ExternalException("mat1 and mat2 shapes cannot be multiplied")));
        Assert.False(MemoryShortage.IsUntold(new InvalidOperationException("out of memory")));
    }

    [Fact]
    public void What_is_too_much_at_once_is_done_in_parts_and_in_order()
    {
        var counts = new List<int>();
        int[] done = MemoryShortage.InParts<int, int>(
            [.. Enumerable.Range(0, 7)],
            some =>
            {
                counts.Add(some.Count);
                return some.Count > 2 ? throw new ExternalException(Cuda) : [.. some.Select(number => number * 10)];
            },
            "one",
            ""
        );
        Assert.Equal([0, 10, 20, 30, 40, 50, 60], done);
        Assert.Equal([7, 3, 1, 2, 4, 2, 2], counts);

        string message = Assert
            .Throws<InsufficientMemoryException>(() =>
                MemoryShortage.InParts<int, int>([1, 2], _ => throw new ExternalException(Cuda), "classifying one image", "End others.")
            )
            .Message;
        Assert.Equal("There is not enough memory for classifying one image (2.50 GiB more could not be allocated). End others.", message);
    }
}
