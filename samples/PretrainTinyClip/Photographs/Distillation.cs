using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// Two cosine distances to the teacher, through trained linear maps that are discarded afterwards: from the embedding to the teacher's
/// pooled features, and from each patch to the teacher's feature map at the same place (Romero et al. 2015, "FitNets", arXiv 1412.6550).
/// </summary>
internal sealed class Distillation : IDisposable
{
    private const int ScaleRows = 2048;
    private const double LeastDeviation = 1e-3,
        RidgeShare = 1e-3; // of the mean square

    private readonly Parameter _ofPooled,
        _ofCells;
    private readonly Tensor _mean,
        _deviation,
        _cellScale;

    /// <param name="cache">The cache of the teacher's features, prepared at least in part.</param>
    /// <param name="embeddingWidth">Width of the student's embedding.</param>
    /// <param name="patchWidth">Width of the student's patch states.</param>
    /// <param name="generator">Generator of the maps' initial values.</param>
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
        // Pooled features are divided by their standard deviation; the map's components by the square root of theirs, so that the largest
        // components stay the largest without drowning the others.
        using HalfRows pooledRows = cache.OpenPooled(),
            mapRows = cache.OpenMaps();
        Tensor pooled = First(pooledRows, ITeacher.Width),
            cells = First(mapRows, PhotographCache.Components);
        _mean = pooled.mean([0]).DetachFromDisposeScope();
        _deviation = pooled.std(0).AtLeast(LeastDeviation).DetachFromDisposeScope();
        _cellScale = cells.std(0).AtLeast(LeastDeviation).rsqrt().DetachFromDisposeScope();
    }

    private Distillation(Distillation other)
    {
        (_ofPooled, _ofCells) = (LearnedClip.Replica(other._ofPooled), LearnedClip.Replica(other._ofCells));
        Tensor Shared(Tensor value) => value.alias().DetachFromDisposeScope();
        (_mean, _deviation, _cellScale) = (Shared(other._mean), Shared(other._deviation), Shared(other._cellScale));
    }

    /// <summary>The same maps with gradients of their own.</summary>
    public Distillation Replica() => new(this);

    /// <summary>Fits the maps to a student by least squares, so that a trained student is not disturbed by random maps.</summary>
    /// <param name="embedding">Embeddings of the student, [images, embedding].</param>
    /// <param name="patches">Patch states of the student, [images, kept, width], in the batch's order of patches.</param>
    /// <param name="batch">The batch with the teacher's features.</param>
    public void Fit(Tensor embedding, Tensor patches, PhotographBatch batch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        void Fit(Parameter map, Tensor inputs, Tensor targets)
        {
            (inputs, targets) = (inputs.reshape(-1, map.shape[1]), targets.reshape(-1, map.shape[0]));
            Tensor square = inputs.t().matmul(inputs);
            Tensor ridge = square.diagonal().mean().Times(RidgeShare) * eye(square.shape[0]);
            Tensor fitted = linalg.solve(square.Plus(ridge), inputs.t().matmul(targets)).t();
            // Cosines do not depend on the scale, but the size of the optimizer's first steps relative to the values does.
            map.copy_(fitted * (map.norm() / fitted.norm()));
        }
        var (pooled, cells) = Targets(batch, patches.shape[1]);
        Fit(_ofPooled, embedding, pooled);
        Fit(_ofCells, patches, cells);
    }

    /// <summary>The linear maps by name.</summary>
    public IEnumerable<KeyValuePair<string, Parameter>> Maps => [new("map.pooled", _ofPooled), new("map.cells", _ofCells)];

    /// <param name="embedding">Embeddings of the student, [images, embedding].</param>
    /// <param name="patches">Patch states of the student, [images, kept, width], in the batch's order of patches.</param>
    /// <param name="batch">The batch with the teacher's features.</param>
    /// <returns>Two scalars, each from 0 to 2, in the caller's dispose scope.</returns>
    public (Tensor Pooled, Tensor Cells) Distances(Tensor embedding, Tensor patches, PhotographBatch batch)
    {
        var (pooled, cells) = Targets(batch, patches.shape[1]);
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

    private (Tensor Pooled, Tensor Cells) Targets(PhotographBatch batch, long kept) =>
        (
            (tensor(batch.Pooled, [batch.Classes.Length, ITeacher.Width]) - _mean) / _deviation,
            tensor(batch.Cells, [batch.Classes.Length, kept, PhotographCache.Components]) * _cellScale
        );

    private static Tensor Distance(Tensor guess, Tensor target) => F.cosine_similarity(guess, target, dim: -1).mean().OneMinus();

    /// <summary>Reads the first rows as [·, width]; the cache is shuffled, so they have all classes.</summary>
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
