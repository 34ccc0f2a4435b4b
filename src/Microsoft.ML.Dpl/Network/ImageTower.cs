using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Network;

/// <summary>CLIP's image tower with layer-local prompts. Caches one attention layout per batch size; not thread-safe.</summary>
/// <param name="weights">The frozen weights; not owned.</param>
/// <param name="steps">bfloat16 copies of the blocks for training steps; not owned. Null: the blocks of <paramref name="weights"/>.</param>
/// <param name="onOneThread">Whether <see cref="HeadKernel"/> computes float32 attention where it can, on the CPU and the calling thread
/// only; its results differ in the last bits from those of libtorch's operations.</param>
internal sealed class ImageTower(ImageWeights weights, StepBlocks? steps = null, bool onOneThread = false) : IDisposable
{
    private readonly IReadOnlyList<BlockWeights> _blocks = steps?.Image ?? weights.Blocks;
    private readonly Dictionary<long, (AttentionLayout Body, AttentionLayout Last, Tensor ClassRows)> _layouts = [];

    private ClipTransformerConfig Shape => weights.Config.Image;

    public ImageWeights Weights => weights;

    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <param name="prompts">One entry per layer; null entries are plain blocks.</param>
    /// <param name="backward">Owns custom gradients until the step ends.</param>
    /// <returns>[batch, embedding], not normalised, in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor images, IReadOnlyList<LayerPrompt?> prompts, BackwardTensors backward)
    {
        using var scope = NewDisposeScope();
        var (body, last, classRows) = LayoutsFor(images.shape[0]);
        Tensor rows = Embed(weights, images);
        for (int layer = 0; layer < _blocks.Count; layer++)
        {
            bool isLast = layer == _blocks.Count - 1;
            rows = PromptedBlock.Forward(
                _blocks[layer],
                Shape,
                rows,
                prompts[layer],
                isLast ? last : body,
                isLast ? classRows : null,
                backward
            );
        }
        return Project(weights, rows).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Patch embedding, class token, position embeddings and the first LayerNorm: [batch, 3, size, size] to [batch · (1 + grid²), width].
    /// </summary>
    public static Tensor Embed(ImageWeights weights, Tensor images)
    {
        ClipConfig config = weights.Config;
        long batch = images.shape[0],
            grid = config.Grid,
            patch = config.PatchSize,
            width = config.Image.Width;
        if (images.shape[2] != config.ImageSize || images.shape[3] != config.ImageSize)
            throw new ArgumentException(
                $"Images of {images.shape[3]} × {images.shape[2]} pixels do not fit this CLIP's {config.ImageSize}.",
                nameof(images)
            );

        // With patches as rows, the strided convolution is a single matrix product.
        Tensor patches = images
            .narrow(2, 0, grid * patch)
            .narrow(3, 0, grid * patch)
            .reshape(batch, 3, grid, patch, grid, patch)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(batch * grid * grid, 3 * patch * patch);
        Tensor embedded = F.linear(patches, weights.PatchWeight).view(batch, grid * grid, width);
        Tensor tokens = cat([weights.ClassEmbedding.expand(batch, 1, width), embedded], 1).PlusInPlace(weights.PositionEmbedding);
        return PromptedBlock.Norm(tokens.view(-1, width), weights.PreNormWeight, weights.PreNormBias, config.Image);
    }

    /// <summary>The last LayerNorm and the projection: [batch, width] class-token rows to [batch, embedding].</summary>
    public static Tensor Project(ImageWeights weights, Tensor classRows) =>
        PromptedBlock.Norm(classRows, weights.PostNormWeight, weights.PostNormBias, weights.Config.Image).matmul(weights.Projection);

    /// <summary>
    /// The attention layout of all blocks but the last, that of the last block, and the rows [batch] that the last block computes, for a
    /// batch size. Owned by this object.
    /// </summary>
    public (AttentionLayout Body, AttentionLayout Last, Tensor ClassRows) LayoutsFor(long batch)
    {
        if (_layouts.TryGetValue(batch, out var layouts))
            return layouts;
        long tokens = 1 + (long)weights.Config.Grid * weights.Config.Grid;
        using Scalar first = 0,
            end = batch * tokens,
            step = tokens;
        Tensor classRows = arange(first, end, step, ScalarType.Int64, device: weights.Device).DetachFromDisposeScope();
        bool byHead = onOneThread && Sgemm.IsAvailable;
        return _layouts[batch] = (
            new AttentionLayout(Shape.Heads, batch, tokens, tokens) { ByHead = byHead },
            new AttentionLayout(Shape.Heads, batch, 1, tokens) { ByHead = byHead },
            classRows
        );
    }

    public void Dispose()
    {
        foreach (var (body, last, classRows) in _layouts.Values)
        {
            body.Dispose();
            last.Dispose();
            classRows.Dispose();
        }
        _layouts.Clear();
    }
}
