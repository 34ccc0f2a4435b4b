using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// Two distances to the teacher by cosine, through linear maps that are trained and then thrown away: of the embedding to its pooled
/// features, and of each patch to its feature map at that place (Romero et al. 2015, "FitNets", arXiv 1412.6550).
/// </summary>
internal sealed class Distillation : IDisposable
{
    private const int ScaleRows = 2048;
    private const double LeastDeviation = 1e-3;

    private readonly Parameter _ofPooled,
        _ofCells;
    private readonly Tensor _mean,
        _deviation,
        _cellScale;

    /// <param name="cache">Prepared, at least in part.</param>
    /// <param name="embeddingWidth">Of the student's embedding.</param>
    /// <param name="patchWidth">Of the student's patches.</param>
    /// <param name="generator">Of the maps' initial values.</param>
    public Distillation(PhotographCache cache, long embeddingWidth, long patchWidth, Generator generator)
    {
        using var scope = NewDisposeScope();
        Parameter Map(long outputs, long inputs)
        {
            var map = new Parameter(randn([outputs, inputs], generator: generator).Times(Math.Pow(inputs, -0.5)), requires_grad: true);
            map.DetachFromDisposeScope();
            return map;
        }
        (_ofPooled, _ofCells) = (Map(ITeacher.Width, embeddingWidth), Map(PhotographCache.Components, patchWidth));
        // Each pooled feature by its own spread; the map's components by the root of theirs, which keeps the largest ones the largest
        // without drowning the others.
        using HalfRows pooledRows = cache.OpenPooled(),
            mapRows = cache.OpenMaps();
        Tensor pooled = First(pooledRows, ITeacher.Width),
            cells = First(mapRows, PhotographCache.Components);
        _mean = pooled.mean([0]).DetachFromDisposeScope();
        _deviation = pooled.std(0).AtLeast(LeastDeviation).DetachFromDisposeScope();
        _cellScale = cells.std(0).AtLeast(LeastDeviation).rsqrt().DetachFromDisposeScope();
    }

    /// <summary>The maps by name.</summary>
    public IEnumerable<KeyValuePair<string, Parameter>> Maps => [new("map.pooled", _ofPooled), new("map.cells", _ofCells)];

    /// <param name="embedding">[images, embedding]</param>
    /// <param name="patches">[images, kept, width] in the order of the batch's own.</param>
    /// <param name="batch">What the teacher saw.</param>
    /// <returns>[] and [], each from 0 to 2, in the caller's dispose scope.</returns>
    public (Tensor Pooled, Tensor Cells) Distances(Tensor embedding, Tensor patches, PhotographBatch batch)
    {
        Tensor pooled = (tensor(batch.Pooled, [embedding.shape[0], ITeacher.Width]) - _mean) / _deviation,
            cells = tensor(batch.Cells, [patches.shape[0], patches.shape[1], PhotographCache.Components]) * _cellScale;
        return (Distance(F.linear(embedding, _ofPooled), pooled), Distance(F.linear(patches, _ofCells), cells));
    }

    public void Dispose()
    {
        _ofPooled.Dispose();
        _ofCells.Dispose();
        _mean.Dispose();
        _deviation.Dispose();
        _cellScale.Dispose();
    }

    private static Tensor Distance(Tensor guess, Tensor target) => F.cosine_similarity(guess, target, dim: -1).mean().OneMinus();

    /// <summary>[·, width] of the rows that were taught first, which are of all classes.</summary>
    private static Tensor First(HalfRows rows, int width)
    {
        var numbers = new Half[Math.Min(ScaleRows, rows.Count) * rows.Width];
        for (int row = 0; row < numbers.Length / rows.Width; row++)
            rows.Read(row, numbers.AsSpan(row * rows.Width, rows.Width));
        var all = new float[numbers.Length];
        TensorPrimitives.ConvertToSingle(numbers, all);
        return tensor(all).view(-1, width);
    }
}
