using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Reads prompt rows as the tokens whose embeddings lie nearest, as Zhou, Yang, Loy, Liu do (CoOp, IJCV 2022, arXiv 2109.01134,
/// section 3.3).</summary>
internal static class NearestTokens
{
    /// <param name="rows">[length, width]; stays the caller's.</param>
    /// <param name="embeddings">[vocabulary, width]; stays the caller's.</param>
    /// <param name="ids">The tokens to choose from, increasing.</param>
    /// <param name="count">How many for each row, at most as many as there are.</param>
    /// <param name="measure">What near means.</param>
    /// <returns>[length][count], the nearest first.</returns>
    public static (int Id, float Distance)[][] Find(Tensor rows, Tensor embeddings, int[] ids, int count, WordDistance measure)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor candidates = embeddings.index_select(0, tensor(ids, ScalarType.Int64, device: embeddings.device));
        Tensor distances =
            measure == WordDistance.Euclidean
                // the fast route loses digits where distances are small
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
