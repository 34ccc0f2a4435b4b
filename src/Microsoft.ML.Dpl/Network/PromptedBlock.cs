using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// One pre-norm transformer block with prompts in its keys and values: <c>x + MHA(LN1 x)</c>, then <c>x + MLP(LN2 x)</c>.
/// </summary>
internal static class PromptedBlock
{
    /// <param name="block">The frozen tensors; products are computed in the type of its matrices.</param>
    /// <param name="config">The shape of the tower.</param>
    /// <param name="rows">[rows, width] the input tokens.</param>
    /// <param name="prompt">The prompts of this layer; null: the plain block.</param>
    /// <param name="layout">The rows that each row attends to.</param>
    /// <param name="read">[read rows] indices of the only rows whose output is used (in the last block); null: all.</param>
    /// <param name="backward">Owns custom gradients until the step ends.</param>
    /// <returns>[rows or read rows, width] in the caller's dispose scope.</returns>
    public static Tensor Forward(
        BlockWeights block,
        ClipTransformerConfig config,
        Tensor rows,
        LayerPrompt? prompt,
        AttentionLayout layout,
        Tensor? read,
        BackwardTensors backward
    )
    {
        using var scope = NewDisposeScope();
        long width = config.Width;
        Tensor normed = Factor(Norm(rows, block.Norm1Weight, block.Norm1Bias, config), block);
        Tensor? promptKeysValues = prompt is null ? null : KeysValues(block, config, prompt.Rows);

        Tensor projected;
        Tensor? queries = null;
        if (read is null)
        {
            projected = F.linear(normed, block.QkvWeight, block.QkvBias);
        }
        else
        {
            projected = F.linear(normed, block.QkvWeight.narrow(0, width, 2 * width), block.QkvBias.narrow(0, width, 2 * width));
            queries = F.linear(normed.index_select(0, read), block.QkvWeight.narrow(0, 0, width), block.QkvBias.narrow(0, 0, width));
            rows = rows.index_select(0, read);
        }
        Tensor attended = MixedAttention.Attend(projected, queries, promptKeysValues, prompt?.Weights, prompt?.Groups, layout, backward);
        return Finish(block, config, rows, attended).MoveToOuterDisposeScope();
    }

    /// <summary>[n, width] prompt rows to [n, 2 · width], their keys and values in this layer.</summary>
    public static Tensor KeysValues(BlockWeights block, ClipTransformerConfig config, Tensor promptRows)
    {
        long width = config.Width;
        return F.linear(
            Factor(Norm(promptRows, block.Norm1Weight, block.Norm1Bias, config), block),
            block.QkvWeight.narrow(0, width, 2 * width),
            block.QkvBias.narrow(0, width, 2 * width)
        );
    }

    /// <summary>Everything after the attention: output projection, residuals and MLP.</summary>
    public static Tensor Finish(BlockWeights block, ClipTransformerConfig config, Tensor rows, Tensor attended)
    {
        rows = Added(rows, attended, block.OutWeight, block.OutBias);
        Tensor hidden = F.linear(Factor(Norm(rows, block.Norm2Weight, block.Norm2Bias, config), block), block.UpWeight, block.UpBias);
        // The factor 1.702 of QuickGELU is folded into the weights around it, which leaves SiLU.
        hidden = config.Activation == ClipActivation.QuickGelu ? F.silu(hidden) : F.gelu(hidden);
        return Added(rows, hidden, block.DownWeight, block.DownBias);
    }

    /// <summary><see cref="Finish(BlockWeights, ClipTransformerConfig, Tensor, Tensor)"/> with packed matrices.</summary>
    public static Tensor Finish(BlockWeights block, PackedBlock.Finish packed, ClipTransformerConfig config, Tensor rows, Tensor attended)
    {
        rows = FusedOperators.Add(attended, packed.Out, block.OutBias, rows);
        Tensor normed = Norm(rows, block.Norm2Weight, block.Norm2Bias, config);
        Tensor hidden =
            config.Activation == ClipActivation.QuickGelu
                ? FusedOperators.Silu(normed, packed.Up, block.UpBias)
                : FusedOperators.Gelu(normed, packed.Up, block.UpBias);
        return FusedOperators.Add(hidden, packed.Down, block.DownBias, rows);
    }

    /// <summary>Converts rows to the type of the block's matrices, which may have lower precision.</summary>
    private static Tensor Factor(Tensor rows, BlockWeights block) =>
        rows.dtype == block.QkvWeight.dtype ? rows : rows.to(block.QkvWeight.dtype);

    /// <summary>
    /// Rows plus a projection of what a layer computed from them, in the type of the rows. Where the weight has that type, a fused
    /// multiply-add saves a pass over memory.
    /// </summary>
    private static Tensor Added(Tensor rows, Tensor computed, Tensor weight, Tensor bias) =>
        weight.dtype == rows.dtype ? rows.Plus(bias).addmm_(computed, weight.t()) : rows.Plus(F.linear(computed, weight, bias));

    public static Tensor Norm(Tensor rows, Tensor weight, Tensor bias, ClipTransformerConfig config) =>
        F.layer_norm(rows, [rows.shape[^1]], weight, bias, config.NormEpsilon);
}
