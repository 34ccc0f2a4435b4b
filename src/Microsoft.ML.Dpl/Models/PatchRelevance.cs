using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>How much each patch of an image contributes to one class.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Probability">Probability of that class, 0 to 1.</param>
/// <param name="Patches">[grid²] relevance of each patch, row by row; at least 0, with no fixed scale.</param>
internal sealed record PatchRelevance(int Class, float Probability, float[] Patches)
{
    /// <summary>
    /// Gradient-weighted attention rollout (Chefer, Gur, Wolf, ICCV 2021, arXiv 2103.15679, equations 5 and 6): with A the attention of a
    /// layer among the tokens and ∇A the gradient of the class's logit with respect to A, <c>Ā = mean over heads of max(∇A ⊙ A, 0)</c> and
    /// <c>R ← R + Ā R</c> from the first layer to the last, starting from the identity. The class token's row of R is the relevance of each
    /// patch. Prompt rows take part in the softmax but are left out of R, because they have no position in the image.
    /// </summary>
    /// <param name="tower">The prompted image tower.</param>
    /// <param name="image">[1, 3, size, size] normalised</param>
    /// <param name="classFeatures">[classes, embedding], rows of unit norm</param>
    /// <param name="logitScale">The factor on cosine similarities.</param>
    /// <param name="chosen">Index of the class; null for the most probable one.</param>
    public static PatchRelevance Compute(FoldedImageTower tower, Tensor image, Tensor classFeatures, double logitScale, int? chosen)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        (Tensor features, IReadOnlyList<Tensor> attention) = tower.ForwardWithAttention(image);
        Tensor logits = PromptedClip.Logits(features, classFeatures, logitScale).select(0, 0); // [classes]
        int index = chosen ?? (int)logits.argmax().item<long>();
        IList<Tensor> gradients = autograd.grad([logits[index]], [.. attention]);

        using var noGrad = no_grad();
        long tokens = tower.Tokens;
        Tensor relevance = eye(tokens, dtype: ScalarType.Float32, device: image.device); // [tokens, tokens]
        for (int layer = 0; layer < attention.Count; layer++)
        {
            Tensor weighted = (attention[layer] * gradients[layer]).narrow(3, 0, tokens).relu_().mean([0, 1]); // [queries, tokens]
            relevance = relevance.narrow(0, 0, weighted.shape[0]).Plus(weighted.matmul(relevance));
        }
        return new PatchRelevance(
            index,
            logits.softmax(-1)[index].item<float>(),
            relevance.select(0, 0).narrow(0, 1, tokens - 1).cpu().data<float>().ToArray()
        );
    }
}
