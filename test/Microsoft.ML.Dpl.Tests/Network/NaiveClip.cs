using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>The method exactly as written down, without shortcuts: every candidate's attention in full, all context positions of every
/// class, all rows of all layers, plain autograd. Deliberately slow; the fast form is tested against it.</summary>
/// <param name="weights">The tensors, under OpenAI's names.</param>
/// <param name="config">The shape of the CLIP that the weights belong to.</param>
/// <param name="device">Where to compute; null: on the CPU.</param>
internal sealed class NaiveClip(ITensorSource weights, ClipConfig config, Device? device = null) : IDisposable
{
    private readonly Device _device = device ?? CPU;
    private readonly Dictionary<string, Tensor> _weights = weights.Entries.Keys.ToDictionary(
        name => name,
        name => weights.Read(name).to(ScalarType.Float32).to(device ?? CPU).DetachFromDisposeScope()
    );

    /// <param name="images">[batch, 3, size, size]</param>
    /// <param name="texts">Token ids per class, padded here with zeros.</param>
    /// <param name="image">For each layer: the alphas [candidates] and the candidates' prompts, null for the empty one.</param>
    /// <param name="text">The alphas and prompts of the text tower, in the same form as <paramref name="image"/>.</param>
    public Tensor Logits(Tensor images, int[][] texts, IReadOnlyList<NaiveLayer> image, IReadOnlyList<NaiveLayer> text) =>
        Logits(ImageFeatures(images, image), TextFeatures(texts, text));

    /// <param name="images">[batch, embedding]</param>
    /// <param name="texts">[classes, embedding]</param>
    public Tensor Logits(Tensor images, Tensor texts) =>
        _weights["logit_scale"].exp() * (images / images.norm(-1, true)).matmul((texts / texts.norm(-1, true)).t());

    public Tensor ImageFeatures(Tensor images, IReadOnlyList<NaiveLayer> layers)
    {
        Tensor x = F.conv2d(images, _weights["visual.conv1.weight"], strides: [config.PatchSize, config.PatchSize])
            .flatten(2)
            .transpose(1, 2);
        x = cat([_weights["visual.class_embedding"].expand(x.shape[0], 1, -1), x], 1) + _weights["visual.positional_embedding"];
        x = Norm(x, "visual.ln_pre", config.Image);
        for (int l = 0; l < layers.Count; l++)
            x = Block(x, $"visual.transformer.resblocks.{l}", config.Image, layers[l], causal: false);
        return Norm(x.select(1, 0), "visual.ln_post", config.Image).matmul(_weights["visual.proj"]);
    }

    public Tensor TextFeatures(int[][] texts, IReadOnlyList<NaiveLayer> layers)
    {
        var ids = new long[texts.Length * config.ContextLength];
        for (int c = 0; c < texts.Length; c++)
        for (int j = 0; j < texts[c].Length; j++)
            ids[c * config.ContextLength + j] = texts[c][j];
        Tensor tokens = tensor(ids, [texts.Length, config.ContextLength], device: _device);
        Tensor x =
            _weights["token_embedding.weight"].index_select(0, tokens.flatten()).view(texts.Length, config.ContextLength, -1)
            + _weights["positional_embedding"];
        for (int l = 0; l < layers.Count; l++)
            x = Block(x, $"transformer.resblocks.{l}", config.Text, layers[l], causal: true);
        x = Norm(x, "ln_final", config.Text);
        Tensor ends = tokens.argmax(-1) + arange(0, ids.Length, config.ContextLength, device: _device);
        return x.flatten(0, 1).index_select(0, ends).matmul(_weights["text_projection"]);
    }

    /// <summary>Computes the text features without a graph, in chunks of classes.</summary>
    /// <returns>[classes, embedding], owned by the caller</returns>
    public Tensor TextFeaturesInChunks(int[][] texts, IReadOnlyList<NaiveLayer> layers, int chunk)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var parts = new List<Tensor>();
        foreach (int[][] some in texts.Chunk(chunk))
        {
            using var part = NewDisposeScope();
            parts.Add(TextFeatures(some, layers).MoveToOuterDisposeScope());
        }
        return cat(parts).DetachFromDisposeScope();
    }

    /// <summary>
    /// Computes the gradients of one backward pass through everything, but holds the graph of only one chunk of classes at a time: from the
    /// loss to the text features, then through the text tower, chunk by chunk. Each class is computed and differentiated once, so the time
    /// is what the whole pass would take with unlimited memory.
    /// </summary>
    /// <param name="features">[classes, embedding]: what <see cref="TextFeaturesInChunks"/> gives</param>
    /// <param name="loss">The loss as a function of the text features.</param>
    /// <param name="texts">Token ids per class.</param>
    /// <param name="layers">The layers of the text tower.</param>
    /// <param name="chunk">Classes per chunk, at least 1.</param>
    /// <param name="chunks">The number of chunks to process, from the first.</param>
    public void BackwardInChunks(
        Tensor features,
        Func<Tensor, Tensor> loss,
        int[][] texts,
        IReadOnlyList<NaiveLayer> layers,
        int chunk,
        int chunks = int.MaxValue
    )
    {
        using Tensor leaf = features.detach().requires_grad_(true);
        using (NewDisposeScope())
            loss(leaf).backward();
        using Tensor gradient = leaf.grad!;
        long first = 0;
        foreach (int[][] some in texts.Chunk(chunk).Take(chunks))
        {
            using var part = NewDisposeScope();
            TextFeatures(some, layers).backward([gradient.narrow(0, first, some.Length)]);
            first += some.Length;
        }
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _weights.Values)
            tensor.Dispose();
    }

    private Tensor Block(Tensor x, string name, ClipTransformerConfig branch, NaiveLayer layer, bool causal)
    {
        // Frees what autograd does not keep, as PyTorch does immediately.
        using var scope = NewDisposeScope();
        Tensor mixture = layer.Alphas.softmax(-1),
            attended = zeros_like(x);
        for (int c = 0; c < layer.Prompts.Count; c++)
            attended = attended + mixture[c] * Attend(x, layer.Prompts[c], name, branch, causal);
        x = x + attended;
        Tensor hidden = F.linear(Norm(x, name + ".ln_2", branch), _weights[name + ".mlp.c_fc.weight"], _weights[name + ".mlp.c_fc.bias"]);
        hidden = branch.Activation == ClipActivation.QuickGelu ? hidden * (1.702 * hidden).sigmoid() : F.gelu(hidden);
        return (x + F.linear(hidden, _weights[name + ".mlp.c_proj.weight"], _weights[name + ".mlp.c_proj.bias"])).MoveToOuterDisposeScope();
    }

    private Tensor Attend(Tensor x, Tensor? prompt, string name, ClipTransformerConfig branch, bool causal)
    {
        using var scope = NewDisposeScope();
        long batch = x.shape[0],
            n = x.shape[1],
            c = prompt?.shape[0] ?? 0,
            width = branch.Width,
            heads = branch.Heads;
        Tensor q = Norm(x, name + ".ln_1", branch);
        // In the text tower the keys are ordered [x0; P; x1...]. The order does not change the attention; the mask below follows [P; x].
        Tensor kv = prompt is null ? x : cat([prompt.expand(batch, -1, -1), x], 1);
        kv = Norm(kv, name + ".ln_1", branch);
        Tensor[] w = _weights[name + ".attn.in_proj_weight"].chunk(3),
            b = _weights[name + ".attn.in_proj_bias"].chunk(3);
        Tensor Heads(Tensor t, int part) => F.linear(t, w[part], b[part]).view(batch, -1, heads, width / heads).transpose(1, 2);
        Tensor scores = matmul(Heads(q, 0), Heads(kv, 1).transpose(-2, -1)) / Math.Sqrt((double)width / heads);
        if (causal)
            scores = scores + cat([zeros(n, c, device: _device), full(n, n, float.NegativeInfinity, device: _device).triu(1)], 1);
        Tensor o = matmul(scores.softmax(-1), Heads(kv, 2)).transpose(1, 2).reshape(batch, n, width);
        return F.linear(o, _weights[name + ".attn.out_proj.weight"], _weights[name + ".attn.out_proj.bias"]).MoveToOuterDisposeScope();
    }

    private Tensor Norm(Tensor x, string name, ClipTransformerConfig branch) =>
        F.layer_norm(x, [x.shape[^1]], _weights[name + ".weight"], _weights[name + ".bias"], branch.NormEpsilon);
}

/// <param name="Alphas">[candidates]</param>
/// <param name="Prompts">One per candidate, null for the empty one.</param>
internal sealed record NaiveLayer(Tensor Alphas, IReadOnlyList<Tensor?> Prompts)
{
    /// <summary>The layers of a searchable branch as the naive form uses them; its gradients flow into the same parameters.</summary>
    public static NaiveLayer[] From(SupernetBranch branch) =>
        [
            .. branch.Rows.Select(
                (rows, layer) =>
                {
                    var prompts = new List<Tensor?> { null };
                    long start = 0;
                    foreach (int length in branch.Candidates.Skip(1))
                    {
                        prompts.Add(rows.narrow(0, start, length));
                        start += length;
                    }
                    return new NaiveLayer(branch.Alphas[layer], prompts);
                }
            ),
        ];

    /// <summary>The layers of a fixed branch.</summary>
    public static NaiveLayer[] From(FixedBranch branch) => [.. branch.Rows.Select(rows => new NaiveLayer(zeros(1), [rows]))];
}
