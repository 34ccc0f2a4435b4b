using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// The frozen tensors of one pre-norm transformer block, float32, with two constants folded in:
/// the rows of <see cref="QkvWeight"/> and <see cref="QkvBias"/> that make Q are divided by √(width / heads), so attention needs no scale;
/// for <see cref="ClipActivation.QuickGelu"/> the MLP's first layer is multiplied and its second divided by 1.702, so that
/// <c>silu</c> between them is exactly <c>x · sigmoid(1.702 x)</c>.
/// </summary>
/// <param name="Norm1Weight">[width]</param>
/// <param name="Norm1Bias">[width]</param>
/// <param name="QkvWeight">[3 · width, width]: Q rows (scaled), K rows, V rows</param>
/// <param name="QkvBias">[3 · width]</param>
/// <param name="OutWeight">[width, width]</param>
/// <param name="OutBias">[width]</param>
/// <param name="Norm2Weight">[width]</param>
/// <param name="Norm2Bias">[width]</param>
/// <param name="UpWeight">[mlp, width], times 1.702 for quick GELU</param>
/// <param name="UpBias">[mlp], times 1.702 for quick GELU</param>
/// <param name="DownWeight">[width, mlp], divided by 1.702 for quick GELU; its bias is not</param>
/// <param name="DownBias">[width]</param>
internal sealed record BlockWeights(
    Tensor Norm1Weight,
    Tensor Norm1Bias,
    Tensor QkvWeight,
    Tensor QkvBias,
    Tensor OutWeight,
    Tensor OutBias,
    Tensor Norm2Weight,
    Tensor Norm2Bias,
    Tensor UpWeight,
    Tensor UpBias,
    Tensor DownWeight,
    Tensor DownBias
)
{
    public const double QuickGeluFactor = 1.702;

    public const int TensorCount = 12;
}

/// <summary>The frozen image tower. All tensors float32 on one device; owned by this object.</summary>
/// <param name="Config">The configuration of the whole model.</param>
/// <param name="PatchWeight">[width, 3 · patch · patch]: the patch convolution as a matrix, input order channel, row, column</param>
/// <param name="ClassEmbedding">[width]</param>
/// <param name="PositionEmbedding">[1 + grid², width]</param>
/// <param name="PreNormWeight">[width]</param>
/// <param name="PreNormBias">[width]</param>
/// <param name="Blocks">One per layer.</param>
/// <param name="PostNormWeight">[width]</param>
/// <param name="PostNormBias">[width]</param>
/// <param name="Projection">[width, embedding]</param>
internal sealed record ImageWeights(
    ClipConfig Config,
    Tensor PatchWeight,
    Tensor ClassEmbedding,
    Tensor PositionEmbedding,
    Tensor PreNormWeight,
    Tensor PreNormBias,
    IReadOnlyList<BlockWeights> Blocks,
    Tensor PostNormWeight,
    Tensor PostNormBias,
    Tensor Projection
) : IDisposable
{
    public Device Device => Projection.device;

    /// <summary>All tensors of the tower.</summary>
    public IEnumerable<Tensor> Tensors =>
        TensorsOf(Blocks)
            .Concat([PatchWeight, ClassEmbedding, PositionEmbedding, PreNormWeight, PreNormBias, PostNormWeight, PostNormBias, Projection]);

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors)
            tensor.Dispose();
    }

    /// <summary>Takes ownership of tensors in the order of <see cref="Tensors"/>.</summary>
    public static ImageWeights FromTensors(ClipConfig config, IReadOnlyList<Tensor> tensors)
    {
        BlockWeights[] blocks = BlocksOf(tensors, config.Image.Layers);
        return
            tensors.Skip(blocks.Length * BlockWeights.TensorCount).ToArray()
                is [var patch, var classEmbedding, var positions, var preWeight, var preBias, var postWeight, var postBias, var projection]
            ? new ImageWeights(config, patch, classEmbedding, positions, preWeight, preBias, blocks, postWeight, postBias, projection)
            : throw new ArgumentException(
                $"{tensors.Count} tensors do not make an image tower of {config.Image.Layers} layers.",
                nameof(tensors)
            );
    }

    internal static BlockWeights[] BlocksOf(IReadOnlyList<Tensor> tensors, int layers) =>
        [
            .. tensors
                .Chunk(BlockWeights.TensorCount)
                .Take(layers)
                .Select(t => new BlockWeights(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11])),
        ];

    internal static IEnumerable<Tensor> TensorsOf(IEnumerable<BlockWeights> blocks) =>
        blocks.SelectMany(b =>
            new[]
            {
                b.Norm1Weight,
                b.Norm1Bias,
                b.QkvWeight,
                b.QkvBias,
                b.OutWeight,
                b.OutBias,
                b.Norm2Weight,
                b.Norm2Bias,
                b.UpWeight,
                b.UpBias,
                b.DownWeight,
                b.DownBias,
            }
        );
}

/// <summary>The frozen text tower. All tensors float32 on one device; owned by this object.</summary>
/// <param name="Config">The configuration of the whole model.</param>
/// <param name="TokenEmbedding">[vocabulary, width]</param>
/// <param name="PositionEmbedding">[context length, width]</param>
/// <param name="Blocks">One per layer.</param>
/// <param name="FinalNormWeight">[width]</param>
/// <param name="FinalNormBias">[width]</param>
/// <param name="Projection">[width, embedding]</param>
/// <param name="LogitScale">exp of the learned logarithm: the factor on cosine similarities, 100 in OpenAI's models</param>
internal sealed record TextWeights(
    ClipConfig Config,
    Tensor TokenEmbedding,
    Tensor PositionEmbedding,
    IReadOnlyList<BlockWeights> Blocks,
    Tensor FinalNormWeight,
    Tensor FinalNormBias,
    Tensor Projection,
    double LogitScale
) : IDisposable
{
    public Device Device => Projection.device;

    /// <summary>All tensors of the tower.</summary>
    public IEnumerable<Tensor> Tensors =>
        ImageWeights.TensorsOf(Blocks).Concat([TokenEmbedding, PositionEmbedding, FinalNormWeight, FinalNormBias, Projection]);

    /// <summary>Takes ownership of tensors in the order of <see cref="Tensors"/>.</summary>
    public static TextWeights FromTensors(ClipConfig config, IReadOnlyList<Tensor> tensors, double logitScale)
    {
        BlockWeights[] blocks = ImageWeights.BlocksOf(tensors, config.Text.Layers);
        return
            tensors.Skip(blocks.Length * BlockWeights.TensorCount).ToArray()
                is [var tokens, var positions, var normWeight, var normBias, var projection]
            ? new TextWeights(config, tokens, positions, blocks, normWeight, normBias, projection, logitScale)
            : throw new ArgumentException(
                $"{tensors.Count} tensors do not make a text tower of {config.Text.Layers} layers.",
                nameof(tensors)
            );
    }

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors)
            tensor.Dispose();
    }
}

/// <summary>Keeps frozen weights in memory once per process, however many models use them: loaded for the first lease, disposed with the
/// last.</summary>
internal static class SharedWeights
{
    private static readonly Dictionary<object, Entry> Entries = [];

    /// <param name="key">The key, compared by value; equal keys share weights.</param>
    /// <param name="load">The loader, called if no lease exists for the key while other callers with that key wait; its result is disposed
    /// with the last lease.</param>
    public static Lease<T> Rent<T>(object key, Func<T> load)
        where T : class, IDisposable
    {
        Entry? entry;
        lock (Entries)
        {
            if (!Entries.TryGetValue(key, out entry))
                Entries.Add(key, entry = new Entry());
            entry.Users++;
        }
        try
        {
            lock (entry.Loading)
                entry.Value ??= load();
            return new Lease<T>((T)entry.Value, () => Release(key, entry));
        }
        catch
        {
            Release(key, entry);
            throw;
        }
    }

    private static void Release(object key, Entry entry)
    {
        lock (Entries)
        {
            if (--entry.Users > 0)
                return;
            Entries.Remove(key);
        }
        entry.Value?.Dispose();
    }

    private sealed class Entry
    {
        public object Loading { get; } = new();

        public int Users { get; set; }

        public IDisposable? Value { get; set; }
    }
}

/// <summary>
/// The right to use a shared object until disposal; disposing again does nothing. A lease that is never disposed ends with its finalizer,
/// because otherwise the process-wide table would keep CLIP in memory forever.
/// </summary>
internal sealed class Lease<T>(T value, Action release) : IDisposable
    where T : class
{
    private Action? _release = release;

    /// <summary>The shared object. The holder must not dispose it.</summary>
    /// <exception cref="ObjectDisposedException">The lease has been disposed.</exception>
    public T Value =>
        Volatile.Read(ref _release) is null
            ? throw new ObjectDisposedException(typeof(T).Name, "The lease on these weights is over.")
            : value;

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Interlocked.Exchange(ref _release, null)?.Invoke();
    }

    ~Lease() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
