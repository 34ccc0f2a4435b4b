using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// Workers that divide the images and the classes of every step among themselves, each with its own towers over the same frozen weights.
/// On a CPU this is faster than dividing each operation among threads, which would have to synchronise hundreds of times a step.
/// </summary>
internal sealed class ClipParts : IDisposable
{
    // Measured with 1 and 2 threads: the texts' attention on one thread is faster than libtorch's on both; with many, libtorch's would win.
    private const int MostThreadsForTexts = 2;

    private readonly ImageTower[] _images;
    private readonly ClassTexts?[] _texts;

    /// <param name="text">The text tower's weights; not owned.</param>
    /// <param name="image">The image tower's weights; not owned.</param>
    /// <param name="classes">Token ids of every class.</param>
    /// <param name="workers">Number of workers, at least 1.</param>
    /// <param name="threadsEach">Threads for the operations of each worker.</param>
    /// <param name="steps">bfloat16 copies of the blocks for training steps; not owned. Null: the blocks of the weights.</param>
    public ClipParts(
        TextWeights text,
        ImageWeights image,
        IReadOnlyList<int[]> classes,
        int workers,
        int threadsEach,
        StepBlocks? steps = null
    )
    {
        Text = new TextTower(text, steps);
        _images = [.. Enumerable.Range(0, workers).Select(_ => new ImageTower(image, steps, onOneThread: threadsEach == 1))];
        _texts =
        [
            .. Enumerable
                .Range(0, workers)
                .Select(part =>
                    Share(classes.Count, part, workers) is var (first, count) && count > 0
                        ? new ClassTexts([.. classes.Skip(first).Take(count)], text, onOneThread: threadsEach <= MostThreadsForTexts)
                        : null
                ),
        ];
        Team = new WorkerTeam(workers, threadsEach);
    }

    public WorkerTeam Team { get; }

    public TextTower Text { get; }

    /// <summary>
    /// Creates as many workers as threads or images, whichever is fewer. Null where a single worker would have many threads or the device
    /// is not a CPU: there libtorch's own threading is used.
    /// </summary>
    /// <inheritdoc cref="ClipParts(TextWeights, ImageWeights, IReadOnlyList{int[]}, int, int, StepBlocks)"/>
    public static ClipParts? Create(
        TextWeights text,
        ImageWeights image,
        IReadOnlyList<int[]> classes,
        int batchSize,
        StepBlocks? steps = null
    )
    {
        int threads = get_num_threads(),
            workers = Math.Min(threads, batchSize);
        return (workers < 2 && threads > MostThreadsForTexts) || image.Device.type != TorchSharp.DeviceType.CPU || !NativeThreads.CanLimit
            ? null
            : new ClipParts(text, image, classes, workers, threads / workers, steps);
    }

    /// <summary>The index of the first item and the number of items, of <paramref name="all"/>, that a worker gets.</summary>
    public static (int First, int Count) Share(int all, int part, int parts) =>
        ((int)((long)all * part / parts), (int)((long)all * (part + 1) / parts) - (int)((long)all * part / parts));

    public ImageTower Image(int part) => _images[part];

    /// <summary>Null where there are fewer classes than workers.</summary>
    public ClassTexts? Texts(int part) => _texts[part];

    public void Dispose()
    {
        Team.Dispose();
        foreach (ImageTower tower in _images)
            tower.Dispose();
        foreach (ClassTexts? texts in _texts)
            texts?.Dispose();
    }
}
