using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// The image tower for prediction. The keys and values of a trained prompt are constants, so each layer is a plain one with a few constant
/// extra keys and values; a mixture of candidates adds their constant weights. Thread-safe: a forward pass only reads.
/// </summary>
internal sealed class FoldedImageTower : IDisposable
{
    private readonly ImageWeights _weights;
    private readonly (Tensor K, Tensor V)?[] _folded; // [1, heads, length, headWidth] each
    private readonly FoldedMixture?[] _mixtures; // null where the layer has a single candidate of weight 1

    /// <param name="weights">The frozen image tower; not owned.</param>
    /// <param name="prompts">One [length, width] per layer, null where the length is 0.</param>
    public FoldedImageTower(ImageWeights weights, IReadOnlyList<Tensor?> prompts)
    {
        if (prompts.Count != weights.Blocks.Count)
            throw new ArgumentException(
                $"{prompts.Count} layers of prompts do not fit an image branch of {weights.Blocks.Count} layers.",
                nameof(prompts)
            );
        _weights = weights;
        _folded = [.. prompts.Select((rows, layer) => rows is null ? default((Tensor, Tensor)?) : Fold(weights, layer, rows))];
        _mixtures = new FoldedMixture?[prompts.Count];
    }

    /// <summary>A tower whose layers mix candidates.</summary>
    /// <param name="weights">The frozen image tower; not owned.</param>
    /// <param name="prompts">One entry per layer, null for a plain block; not kept.</param>
    public FoldedImageTower(ImageWeights weights, IReadOnlyList<LayerPrompt?> prompts)
        : this(weights, [.. prompts.Select(prompt => prompt?.Rows)])
    {
        for (int layer = 0; layer < prompts.Count; layer++)
            _mixtures[layer] = prompts[layer] is { } prompt ? FoldedMixture.From(prompt) : null;
    }

    /// <summary>The frozen image tower.</summary>
    public ImageWeights Weights => _weights;

    /// <summary>Returns the packed copy of the tower's matrices for <see cref="Forward"/>, which is not owned. Null, or returns null: the
    /// tower's own matrices are used.</summary>
    public Func<PackedTower?>? Packed { get; set; }

    /// <summary>
    /// Each layer's constant keys and values, [1, heads, length, headWidth]; null for a layer without a prompt. Owned by this object.
    /// </summary>
    public IReadOnlyList<(Tensor K, Tensor V)?> Folded => _folded;

    /// <summary>
    /// Each layer's candidates and their weights; null for a layer without a prompt or with a single candidate of weight 1. Owned by this
    /// object.
    /// </summary>
    public IReadOnlyList<FoldedMixture?> Mixtures => _mixtures;

    /// <summary>Number of tokens of an image: the class token and the patches.</summary>
    public long Tokens => 1 + (long)_weights.Config.Grid * _weights.Config.Grid;

    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <returns>[batch, embedding], not normalised, in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor images)
    {
        using var noGrad = no_grad();
        return Run(images, Packed?.Invoke(), null);
    }

    /// <summary>The features of <see cref="Forward"/>, differentiable with respect to the attention of every layer.</summary>
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <returns>
    /// The features, and one attention [batch, heads, queries, tokens + length] per layer. All tokens are queries, in the last layer only
    /// the class token; the keys are the tokens, class token first, then the layer's prompt. All in the caller's dispose scope.
    /// </returns>
    public (Tensor Features, IReadOnlyList<Tensor> Attention) ForwardWithAttention(Tensor images)
    {
        using var grad = enable_grad();
        var attention = new List<Tensor>();
        return (Run(images, null, attention), attention);
    }

    public void Dispose()
    {
        foreach (var folded in _folded)
        {
            folded?.K.Dispose();
            folded?.V.Dispose();
        }
        foreach (FoldedMixture? mixture in _mixtures)
            mixture?.Dispose();
    }

    private static (Tensor K, Tensor V) Fold(ImageWeights weights, int layer, Tensor rows)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        ClipTransformerConfig config = weights.Config.Image;
        Tensor[] parts = PromptedBlock
            .KeysValues(weights.Blocks[layer], config, rows)
            .view(1, rows.shape[0], 2, config.Heads, -1)
            .permute(2, 0, 3, 1, 4)
            .unbind(0);
        return (parts[0].contiguous().DetachFromDisposeScope(), parts[1].contiguous().DetachFromDisposeScope());
    }

    private Tensor Run(Tensor images, PackedTower? packed, List<Tensor>? record)
    {
        using var scope = NewDisposeScope();
        Tensor rows = ImageTower.Embed(_weights, images); // [batch · tokens, width]
        for (int layer = 0; layer < _folded.Length; layer++)
            rows = Block(layer, packed?.Blocks[layer], rows, images.shape[0], record);
        foreach (Tensor attention in record ?? [])
            attention.MoveToOuterDisposeScope();
        return ImageTower.Project(_weights, rows).MoveToOuterDisposeScope();
    }

    private Tensor Block(int layer, PackedBlock? packed, Tensor rows, long batch, List<Tensor>? record)
    {
        using var scope = NewDisposeScope();
        BlockWeights block = _weights.Blocks[layer];
        ClipTransformerConfig config = _weights.Config.Image;
        long width = config.Width,
            tokens = rows.shape[0] / batch;
        bool isLast = layer == _folded.Length - 1;
        Tensor normed = PromptedBlock.Norm(rows, block.Norm1Weight, block.Norm1Bias, config);

        Tensor q,
            k,
            v;
        if (isLast)
        {
            // Only the class token is used after the last block.
            Tensor[] parts = Heads(
                Linear(normed, packed, block.QkvWeight.narrow(0, width, 2 * width), block.QkvBias.narrow(0, width, 2 * width)),
                batch,
                tokens,
                2
            );
            Tensor classRows = normed.view(batch, tokens, width).select(1, 0);
            q = Heads(F.linear(classRows, block.QkvWeight.narrow(0, 0, width), block.QkvBias.narrow(0, 0, width)), batch, 1, 1)[0];
            (k, v) = (parts[0], parts[1]);
            rows = rows.view(batch, tokens, width).select(1, 0);
        }
        else
        {
            Tensor[] parts = Heads(Linear(normed, packed, block.QkvWeight, block.QkvBias), batch, tokens, 3);
            (q, k, v) = (parts[0], parts[1], parts[2]);
        }
        if (_folded[layer] is var (foldedK, foldedV))
        {
            k = cat([k, foldedK.expand(batch, -1, -1, -1)], 2);
            v = cat([v, foldedV.expand(batch, -1, -1, -1)], 2);
        }
        if (packed is not null && _mixtures[layer] is null)
            return Finish(FusedOperators.Attend(q, k, v));
        Tensor scores = matmul(q, k.transpose(-2, -1));
        Tensor attention = _mixtures[layer]?.Attention(scores, tokens) ?? scores.softmax(-1);
        if (record is not null)
        {
            // The frozen weights require no gradient, so the graph begins at the attention of the first layer.
            if (!attention.requires_grad)
                attention.requires_grad_();
            record.Add(attention.MoveToOuterDisposeScope());
        }
        return Finish(matmul(attention, v));

        Tensor Finish(Tensor attended)
        {
            attended = attended.transpose(1, 2).reshape(-1, width);
            Tensor finished = packed?.Rest is { } rest
                ? PromptedBlock.Finish(block, rest, config, rows, attended)
                : PromptedBlock.Finish(block, config, rows, attended);
            return finished.MoveToOuterDisposeScope();
        }
    }

    /// <summary>The projection to queries, keys and values, by the packed copy of the weight if there is one.</summary>
    private static Tensor Linear(Tensor rows, PackedBlock? packed, Tensor weight, Tensor bias) =>
        packed is null ? F.linear(rows, weight, bias) : FusedOperators.Linear(rows, packed.Qkv, bias);

    /// <summary>[batch · n, parts · width] to parts of [batch, heads, n, headWidth], views.</summary>
    private Tensor[] Heads(Tensor rows, long batch, long n, int parts) =>
        rows.view(batch, n, parts, _weights.Config.Image.Heads, -1).permute(2, 0, 3, 1, 4).unbind(0);
}

/// <summary>Everything needed to compute scores of prepared images. Owns none of its members.</summary>
/// <param name="Tower">Maps images to features.</param>
/// <param name="ClassFeatures">[classes, embedding] unit rows</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record FoldedClassifier(FoldedImageTower Tower, Tensor ClassFeatures, double LogitScale)
{
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <returns>[batch, classes] in the caller's dispose scope.</returns>
    public Tensor Logits(Tensor images)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return PromptedClip.Logits(Tower.Forward(images), ClassFeatures, LogitScale).MoveToOuterDisposeScope();
    }
}
