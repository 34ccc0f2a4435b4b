using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>CLIP's text tower with layer-local prompts, computing the texts of all classes at once.</summary>
/// <param name="weights">The frozen weights; not owned.</param>
/// <param name="steps">bfloat16 copies of the blocks for training steps; not owned. Null: the blocks of <paramref name="weights"/>.</param>
internal sealed class TextTower(TextWeights weights, StepBlocks? steps = null)
{
    public TextWeights Weights => weights;

    /// <param name="texts">The texts of the classes.</param>
    /// <param name="prompts">One entry per layer; null entries are plain blocks.</param>
    /// <param name="backward">Owns custom gradients until the step ends.</param>
    /// <param name="context">[vectors, width] the context vectors that the texts have placeholders for; null without a context.</param>
    /// <returns>[classes, embedding], not normalised, in the caller's dispose scope.</returns>
    public Tensor Forward(ClassTexts texts, IReadOnlyList<LayerPrompt?> prompts, BackwardTensors backward, Tensor? context = null) =>
        Forward(texts, prompts, context, steps?.Text ?? weights.Blocks, backward);

    private Tensor Forward(
        ClassTexts texts,
        IReadOnlyList<LayerPrompt?> prompts,
        Tensor? context,
        IReadOnlyList<BlockWeights> blocks,
        BackwardTensors backward
    )
    {
        using var scope = NewDisposeScope();
        int plain = prompts.TakeWhile(prompt => prompt is null).Count();
        // The output of the layers before the first prompt is the same in every step.
        Tensor rows = texts.AfterPlainLayers(blocks, plain, context, rows => Through(texts, rows, prompts, blocks, 0, plain, backward));
        rows = Through(texts, rows, prompts, blocks, plain, blocks.Count, backward);
        return PromptedBlock
            .Norm(rows, weights.FinalNormWeight, weights.FinalNormBias, weights.Config.Text)
            .matmul(weights.Projection)
            .MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Runs layers <paramref name="from"/> to <paramref name="to"/> − 1; after the last layer only the end-of-text rows are returned.
    /// </summary>
    private Tensor Through(
        ClassTexts texts,
        Tensor rows,
        IReadOnlyList<LayerPrompt?> prompts,
        IReadOnlyList<BlockWeights> blocks,
        int from,
        int to,
        BackwardTensors backward
    )
    {
        for (int layer = from; layer < to; layer++)
        {
            bool isLast = layer == blocks.Count - 1;
            rows = PromptedBlock.Forward(
                blocks[layer],
                weights.Config.Text,
                rows,
                prompts[layer],
                isLast ? texts.Last : texts.Body,
                isLast ? texts.EndRows : null,
                backward
            );
        }
        return rows;
    }

    /// <summary>
    /// The features of all classes as unit rows, computed with CLIP's own blocks and without gradients: [classes, embedding] in the
    /// caller's dispose scope.
    /// </summary>
    public Tensor UnitFeatures(ClassTexts texts, IPromptedBranch prompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return PromptedClip.UnitRows(Features(texts, prompts)).MoveToOuterDisposeScope();
    }

    /// <summary>The features of <see cref="UnitFeatures"/> before normalisation.</summary>
    public Tensor Features(ClassTexts texts, IPromptedBranch prompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        return Forward(texts, prompts.Layers(), prompts.Context(), weights.Blocks, backward).MoveToOuterDisposeScope();
    }
}
