using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.TensorFiles;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>
/// <see cref="FoldedImageTower"/> as ONNX nodes, layer by layer, with the same constants: prompts are additional keys and values, and the
/// last block computes only the class token. Layers that mix candidates use the attention of <see cref="OnnxMixture"/>.
/// </summary>
internal sealed class OnnxTower : OnnxBlocks
{
    private readonly OnnxGraph _graph;
    private readonly TowerArrays _tower;
    private readonly string _tokensShape,
        _batch,
        _batchOf3;
    private string? _batchOf4;

    /// <param name="graph">The graph to add the nodes to.</param>
    /// <param name="tower">The image tower; not modified.</param>
    /// <param name="images">Name of the normalised pixels, [batch, 3, size, size].</param>
    /// <param name="linear">Writes the linear layers.</param>
    public OnnxTower(OnnxGraph graph, TowerArrays tower, string images, IOnnxLinear linear)
        : base(graph, tower.Config.Image, ClipLayout.ImageBlocks, tower.Weight, linear)
    {
        (_graph, _tower) = (graph, tower);
        long width = tower.Config.Image.Width,
            heads = tower.Config.Image.Heads,
            headWidth = width / heads;
        string rows = graph.Integers("shape.rows", -1, width);
        _tokensShape = graph.Integers("shape.tokens", -1, tower.Tokens, width);
        var shapes = new Shapes(
            rows,
            graph.Integers("shape.heads", -1, tower.Tokens, heads, headWidth),
            graph.Integers("shape.class_heads", -1, 1, heads, headWidth)
        );
        _batch = graph.Add("Shape", "batch", [images], With("start", 0), With("end", 1));
        _batchOf3 = graph.Add("Concat", "batch.3", [_batch, graph.Integers("ones.2", 1, 1)], With("axis", 0));
        Features = Project(Blocks(Embed(images, rows), shapes));
    }

    /// <summary>Name of the features: [batch, embedding], not normalised.</summary>
    public string Features { get; }

    private string Embed(string images, string rowsShape)
    {
        long patch = _tower.Config.PatchSize,
            width = _tower.Config.Image.Width;
        // Without padding, the convolution ignores pixels that do not fill a whole patch.
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
        return Reshape("embedded", Norm("embedded.norm", tokens, "visual.ln_pre"), rowsShape);
    }

    private string Project(string classRows) =>
        _graph.Add(
            "MatMul",
            "features",
            [Norm("post_norm", classRows, "visual.ln_post"), _graph.Constant("projection", _tower.Weight("visual.proj"))]
        );

    protected override string Attend(int layer, string name, string queries, string keys, string values)
    {
        PromptArrays? prompt = _tower.Prompts[layer];
        if (prompt is { Mixture: { } mixture })
            return OnnxMixture.Attend(_graph, name, queries, keys, values, prompt, mixture);
        if (prompt is not null)
        {
            keys = WithPrompt("k", keys, prompt.Keys.Transposed(), axis: 3);
            values = WithPrompt("v", values, prompt.Values, axis: 2);
        }
        return Attended(name, _graph.Add("MatMul", name + "scores", [queries, keys]), values);

        string WithPrompt(string what, string own, FloatArray rows, int axis)
        {
            _batchOf4 ??= _graph.Add("Concat", "batch.4", [_batch, _graph.Integers("ones.3", 1, 1, 1)], With("axis", 0));
            string expanded = _graph.Add("Expand", $"{name}{what}.prompt", [_graph.Constant($"{name}{what}.prompt.row", rows), _batchOf4]);
            return _graph.Add("Concat", $"{name}{what}.all", [own, expanded], With("axis", axis));
        }
    }

    /// <summary>Selects the class token, the only one that is used after the last block.</summary>
    protected override string ReadRows(string name, string rows) =>
        _graph.Add(
            "Gather",
            name + ".class",
            [Reshape(name + ".tokens", rows, _tokensShape), _graph.Scalar(name + ".first", 0)],
            With("axis", 1)
        );
}
