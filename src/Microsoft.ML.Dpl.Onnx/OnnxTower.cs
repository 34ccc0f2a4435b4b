using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.TensorFiles;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>
/// <see cref="FoldedImageTower"/> as nodes, layer by layer, with the same constants: prompts are extra keys and values, the last block
/// computes the class token alone,
/// 1/√headWidth and quick GELU's 1.702 lie in the weights. Rows are [batch · tokens, width] as there, so that every linear layer is one
/// Gemm. A layer that mixes candidates has the attention of <see cref="OnnxMixture"/>.
/// </summary>
internal sealed class OnnxTower
{
    private readonly OnnxGraph _graph;
    private readonly TowerArrays _tower;
    private readonly ClipTransformerConfig _config;
    private readonly string _rowsShape,
        _headsShape,
        _tokensShape,
        _oneHeadsShape,
        _batch,
        _batchOf3;
    private readonly IOnnxLinear _linear;
    private string? _batchOf4;

    /// <param name="graph">Where the nodes go.</param>
    /// <param name="tower">Only read.</param>
    /// <param name="images">Name of [batch, 3, size, size] normalised.</param>
    /// <param name="linear">Writes the layers' products with their weights.</param>
    public OnnxTower(OnnxGraph graph, TowerArrays tower, string images, IOnnxLinear linear)
    {
        _linear = linear;
        (_graph, _tower, _config) = (graph, tower, tower.Config.Vision);
        long width = _config.Width,
            heads = _config.Heads,
            headWidth = width / heads;
        _rowsShape = graph.Integers("shape.rows", -1, width);
        _tokensShape = graph.Integers("shape.tokens", -1, tower.Tokens, width);
        _headsShape = graph.Integers("shape.heads", -1, tower.Tokens, heads, headWidth);
        _oneHeadsShape = graph.Integers("shape.class_heads", -1, 1, heads, headWidth);
        _batch = graph.Add("Shape", "batch", [images], With("start", 0), With("end", 1));
        _batchOf3 = graph.Add("Concat", "batch.3", [_batch, graph.Integers("ones.2", 1, 1)], With("axis", 0));
        Features = Project(Blocks(Embed(images)));
    }

    /// <summary>Name of the features: [batch, embedding], not normalised.</summary>
    public string Features { get; }

    private string Embed(string images)
    {
        long patch = _tower.Config.PatchSize,
            width = _config.Width;
        // Without padding the convolution leaves out what fills no whole patch.
        string patches = _graph.Add(
            "Conv",
            "patches.grid",
            [images, _graph.Constant("patches.weight", _tower.Weight("visual.conv1.weight"), width, 3, patch, patch)],
            With("kernel_shape", patch, patch),
            With("strides", patch, patch)
        );
        patches = _graph.Add("Reshape", "patches.columns", [patches, _graph.Integers("shape.columns", 0, 0, -1)]);
        patches = Transpose("patches", patches, 0, 2, 1);
        string classToken = _graph.Add(
            "Expand",
            "class_token",
            [_graph.Constant("class_embedding", _tower.Weight("visual.class_embedding"), 1, 1, width), _batchOf3]
        );
        string tokens = _graph.Add("Concat", "tokens", [classToken, patches], With("axis", 1));
        tokens = _graph.Add("Add", "tokens.placed", [tokens, _graph.Constant("positions", _tower.Weight("visual.positional_embedding"))]);
        return Reshape("embedded", Norm("embedded.norm", tokens, "visual.ln_pre"), _rowsShape);
    }

    private string Blocks(string rows)
    {
        for (int layer = 0; layer < _config.Layers; layer++)
            rows = Block(layer, rows);
        return rows;
    }

    private string Project(string classRows) =>
        _graph.Add(
            "MatMul",
            "features",
            [Norm("post_norm", classRows, "visual.ln_post"), _graph.Constant("projection", _tower.Weight("visual.proj"))]
        );

    private string Block(int layer, string rows)
    {
        string name = $"block.{layer}.",
            block = $"{ClipLayout.VisionBlocks}{layer}.";
        FloatArray inWeight = _tower.Weight(block + "attn.in_proj_weight"),
            inBias = _tower.Weight(block + "attn.in_proj_bias");
        string normed = Norm(name + "norm1", rows, block + "ln_1");
        // [batch, heads, headWidth, tokens]
        string keys = Transpose(name + "k", Reshape(name + "k.heads", Projected("k", 1, normed), _headsShape), 0, 2, 3, 1);
        string values = Transpose(name + "v", Reshape(name + "v.heads", Projected("v", 2, normed), _headsShape), 0, 2, 1, 3);
        string queriesShape = _headsShape;
        if (layer == _config.Layers - 1)
        {
            // Only the class token is read behind the last block.
            normed = ClassRows(name + "norm1", normed);
            rows = ClassRows(name + "rows", rows);
            queriesShape = _oneHeadsShape;
        }
        string queries = Transpose(name + "q", Reshape(name + "q.heads", Projected("q", 0, normed), queriesShape), 0, 2, 1, 3);
        string heads = _tower.Prompts[layer] is { Mixture: { } mixture } prompt
            ? OnnxMixture.Attend(_graph, name, queries, keys, values, prompt, mixture)
            : Attend();
        string attended = Transpose(name + "attended.tokens", heads, 0, 2, 1, 3);
        attended = Reshape(name + "attended", attended, _rowsShape);
        rows = _graph.Add("Add", name + "attention.out", [Linear(name + "out", attended, block + "attn.out_proj"), rows]);

        string hidden = Linear(name + "up", Norm(name + "norm2", rows, block + "ln_2"), block + "mlp.c_fc");
        hidden = _config.Activation == ClipActivation.QuickGelu ? Silu(name, hidden) : Gelu(name, hidden);
        return _graph.Add("Add", name + "mlp.out", [Linear(name + "down", hidden, block + "mlp.c_proj"), rows]);

        string Projected(string what, int part, string from)
        {
            long width = _config.Width;
            return _linear.Add($"{name}{what}.rows", from, inWeight.Rows(part * width, width), inBias.Rows(part * width, width));
        }

        string Attend()
        {
            if (_tower.Prompts[layer] is { } constant)
            {
                keys = WithPrompt("k", keys, constant.Keys.Transposed(), axis: 3);
                values = WithPrompt("v", values, constant.Values, axis: 2);
            }
            string scores = _graph.Add("MatMul", name + "scores", [queries, keys]);
            string attention = _graph.Add("Softmax", name + "attention", [scores], With("axis", -1));
            return _graph.Add("MatMul", name + "attended.heads", [attention, values]);
        }

        string WithPrompt(string what, string own, FloatArray rows, int axis)
        {
            _batchOf4 ??= _graph.Add("Concat", "batch.4", [_batch, _graph.Integers("ones.3", 1, 1, 1)], With("axis", 0));
            string expanded = _graph.Add("Expand", $"{name}{what}.prompt", [_graph.Constant($"{name}{what}.prompt.row", rows), _batchOf4]);
            return _graph.Add("Concat", $"{name}{what}.all", [own, expanded], With("axis", axis));
        }
    }

    private string ClassRows(string name, string rows) =>
        _graph.Add(
            "Gather",
            name + ".class",
            [Reshape(name + ".tokens", rows, _tokensShape), _graph.Scalar(name + ".first", 0)],
            With("axis", 1)
        );

    private string Silu(string name, string x) => _graph.Add("Mul", name + "hidden", [x, _graph.Add("Sigmoid", name + "gate", [x])]);

    /// <summary>½ x (1 + erf(x / √2)): the operator Gelu is younger than the graph's opset, and runtimes know this form.</summary>
    private string Gelu(string name, string x)
    {
        string erf = _graph.Add(
            "Erf",
            name + "erf",
            [_graph.Add("Div", name + "erf.in", [x, _graph.Constant(name + "root2", (float)Math.Sqrt(2))])]
        );
        string gate = _graph.Add("Add", name + "gate", [erf, _graph.Constant(name + "one", 1f)]);
        return _graph.Add("Mul", name + "hidden", [_graph.Add("Mul", name + "gated", [x, gate]), _graph.Constant(name + "half", 0.5f)]);
    }

    private string Norm(string name, string rows, string parameters) =>
        _graph.Add(
            "LayerNormalization",
            name,
            [
                rows,
                _graph.Constant(name + ".weight", _tower.Weight(parameters + ".weight")),
                _graph.Constant(name + ".bias", _tower.Weight(parameters + ".bias")),
            ],
            With("axis", -1),
            With("epsilon", (float)_config.NormEpsilon)
        );

    private string Linear(string name, string rows, string parameters) =>
        _linear.Add(name, rows, _tower.Weight(parameters + ".weight"), _tower.Weight(parameters + ".bias"));

    private string Reshape(string name, string value, string shape) => _graph.Add("Reshape", name, [value, shape]);

    private string Transpose(string name, string value, params long[] order) => _graph.Add("Transpose", name, [value], With("perm", order));
}
