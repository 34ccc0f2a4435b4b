using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Finds the tokens whose embeddings are nearest to prompt rows, as in CoOp (Zhou, Yang, Loy, Liu, IJCV 2022, arXiv 2109.01134,
/// section 3.3).</summary>
internal static class NearestTokens
{
    /// <param name="rows">[length, width]; not disposed.</param>
    /// <param name="embeddings">[vocabulary, width]; not disposed.</param>
    /// <param name="ids">Ids of the tokens to choose from, in increasing order.</param>
    /// <param name="count">Number of tokens for each row, at most the number of <paramref name="ids"/>.</param>
    /// <param name="measure">The distance.</param>
    /// <returns>[length][count], the nearest first.</returns>
    public static (int Id, float Distance)[][] Find(Tensor rows, Tensor embeddings, int[] ids, int count, WordDistance measure)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor candidates = embeddings.index_select(0, tensor(ids, ScalarType.Int64, device: embeddings.device));
        Tensor distances =
            measure == WordDistance.Euclidean
                // The faster route through a matrix product is inaccurate for small distances.
                ? cdist(rows, candidates, compute_mode: TorchSharp.compute_mode.donot_use_mm_for_euclid_dist)
                : PromptedClip.UnitRows(rows).matmul(PromptedClip.UnitRows(candidates).t()).OneMinus();
        (Tensor nearest, Tensor indices) = distances.topk(count, 1, largest: false, sorted: true);
        float[] values = nearest.cpu().data<float>().ToArray();
        long[] places = indices.cpu().data<long>().ToArray();
        return
        [
            .. Enumerable
                .Range(0, (int)rows.shape[0])
                .Select(row => Enumerable.Range(row * count, count).Select(i => (ids[places[i]], values[i])).ToArray()),
        ];
    }
}
