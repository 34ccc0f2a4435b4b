using Microsoft.ML.Dpl.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// Copies of the frozen blocks for the steps of search and training, with matrices and biases in bfloat16, half the size of CLIP's own;
/// LayerNorms stay float32. Created once and shared by all towers; evaluation uses CLIP's own blocks.
/// </summary>
internal sealed class StepBlocks : IDisposable
{
    /// <param name="text">The text tower's weights; not owned, must outlive this object.</param>
    /// <param name="image">The image tower's weights; not owned, must outlive this object.</param>
    public StepBlocks(TextWeights text, ImageWeights image) =>
        (Text, Image) = ([.. text.Blocks.Select(Rounded)], [.. image.Blocks.Select(Rounded)]);

    /// <summary>One block per text layer.</summary>
    public IReadOnlyList<BlockWeights> Text { get; }

    /// <summary>One block per image layer.</summary>
    public IReadOnlyList<BlockWeights> Image { get; }

    public void Dispose()
    {
        foreach (BlockWeights block in Text.Concat(Image))
        {
            block.QkvWeight.Dispose();
            block.QkvBias.Dispose();
            block.OutWeight.Dispose();
            block.OutBias.Dispose();
            block.UpWeight.Dispose();
            block.UpBias.Dispose();
            block.DownWeight.Dispose();
            block.DownBias.Dispose();
        }
    }

    private static BlockWeights Rounded(BlockWeights block)
    {
        using var noGrad = no_grad();
        static Tensor To(Tensor values) => values.to(ScalarType.BFloat16, copy: true).DetachFromDisposeScope();
        return block with
        {
            QkvWeight = To(block.QkvWeight),
            QkvBias = To(block.QkvBias),
            OutWeight = To(block.OutWeight),
            OutBias = To(block.OutBias),
            UpWeight = To(block.UpWeight),
            UpBias = To(block.UpBias),
            DownWeight = To(block.DownWeight),
            DownBias = To(block.DownBias),
        };
    }
}
