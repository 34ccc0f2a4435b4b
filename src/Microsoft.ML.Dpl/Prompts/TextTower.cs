using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>CLIP's text branch with layer-local prompts, over the texts of all classes at once.</summary>
internal sealed class TextTower(TextWeights weights)
{
    public TextWeights Weights => weights;

    /// <param name="texts">The classes.</param>
    /// <param name="prompts">One entry per layer; null entries are plain blocks.</param>
    /// <param name="backward">Owner of custom gradients until the step ends.</param>
    /// <returns>[classes, embedding], not normalised, in the caller's dispose scope.</returns>
    public Tensor Forward(ClassTexts texts, IReadOnlyList<LayerPrompt?> prompts, BackwardTensors backward)
    {
        using var scope = NewDisposeScope();
        int plain = prompts.TakeWhile(prompt => prompt is null).Count();
        // What no prompt has reached yet is the same in every step.
        Tensor rows = texts.AfterPlainLayers(plain, rows => Through(texts, rows, prompts, 0, plain, backward));
        rows = Through(texts, rows, prompts, plain, weights.Blocks.Count, backward);
        return PromptedBlock.Norm(rows, weights.FinalNormWeight, weights.FinalNormBias, weights.Config.Text).matmul(weights.Projection).MoveToOuterDisposeScope();
    }

    /// <summary>The rows behind layers <paramref name="from"/> to <paramref name="to"/> − 1; behind the last layer only the end-of-text rows.</summary>
    private Tensor Through(ClassTexts texts, Tensor rows, IReadOnlyList<LayerPrompt?> prompts, int from, int to, BackwardTensors backward)
    {
        for (int layer = from; layer < to; layer++)
        {
            bool isLast = layer == weights.Blocks.Count - 1;
            rows = PromptedBlock.Forward(weights.Blocks[layer], weights.Config.Text, rows, prompts[layer], isLast ? texts.Last : texts.Body, isLast ? texts.EndRows : null, backward);
        }
        return rows;
    }

    /// <summary>The features of all classes as unit rows, without gradients: [classes, embedding] in the caller's dispose scope.</summary>
    public Tensor UnitFeatures(ClassTexts texts, IPromptedBranch prompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        return PromptedClip.UnitRows(Forward(texts, prompts.Layers(), backward)).MoveToOuterDisposeScope();
    }
}
