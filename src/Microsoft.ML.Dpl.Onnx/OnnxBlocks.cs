using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>The blocks of one tower as ONNX nodes, with the constants folded in as in <see cref="BlockWeights"/>: 1/√headWidth and quick
/// GELU's 1.702 are part of the weights. Rows are [batch · tokens, width], so that every linear layer is one Gemm. The last block computes
/// only the rows that are used after it.</summary>
/// <param name="graph">The graph to add the nodes to.</param>
/// <param name="config">The tower's configuration.</param>
/// <param name="prefix">Prefix of the names of a block's weights, before the block's number.</param>
/// <param name="weight">Returns a weight array by its name.</param>
/// <param name="linear">Writes the linear layers.</param>
internal abstract class OnnxBlocks(
    OnnxGraph graph,
    ClipTransformerConfig config,
    string prefix,
    Func<string, FloatArray> weight,
    IOnnxLinear linear
)
{
    /// <summary>Names of the shapes for reshaping: [rows, width], and [batch, tokens, heads, headWidth] with all tokens and with only the
    /// one that is used after the last block.</summary>
    protected sealed record Shapes(string Rows, string Heads, string ReadHeads);

    /// <summary>The rows after all blocks: [batch, width].</summary>
    /// <param name="rows">Name of the rows before the first block: [batch · tokens, width].</param>
    /// <param name="shapes">The shapes for these rows.</param>
    protected string Blocks(string rows, Shapes shapes)
    {
        for (int layer = 0; layer < config.Layers; layer++)
            rows = Block(layer, rows, shapes);
        return rows;
    }

    /// <summary>Selects the rows that are used after the last block: [batch, width].</summary>
    /// <param name="name">Prefix of the nodes' names.</param>
    /// <param name="rows">Name of all rows.</param>
    protected abstract string ReadRows(string name, string rows);

    /// <summary>The attention of a block.</summary>
    /// <param name="layer">The block's number.</param>
    /// <param name="name">Prefix of the nodes' names.</param>
    /// <param name="queries">Name of the scaled queries, [batch, heads, queries, headWidth].</param>
    /// <param name="keys">Name of the keys, [batch, heads, headWidth, tokens].</param>
    /// <param name="values">Name of the values, [batch, heads, tokens, headWidth].</param>
    /// <returns>Name of the result, [batch, heads, queries, headWidth].</returns>
    protected abstract string Attend(int layer, string name, string queries, string keys, string values);

    /// <summary>Whether this is the last block, which computes only the rows of <see cref="ReadRows"/>.</summary>
    protected bool IsLast(int layer) => layer == config.Layers - 1;

    /// <summary>The softmax of the scores, multiplied by the values.</summary>
    protected string Attended(string name, string scores, string values)
    {
        string attention = graph.Add("Softmax", name + "attention", [scores], With("axis", -1));
        return graph.Add("MatMul", name + "attended.heads", [attention, values]);
    }

    protected string Norm(string name, string rows, string parameters) =>
        graph.Add(
            "LayerNormalization",
            name,
            [
                rows,
                graph.Constant(name + ".weight", weight(parameters + ".weight")),
                graph.Constant(name + ".bias", weight(parameters + ".bias")),
            ],
            With("axis", -1),
            With("epsilon", (float)config.NormEpsilon)
        );

    protected string Reshape(string name, string value, string shape) => graph.Add("Reshape", name, [value, shape]);

    protected string Transpose(string name, string value, params long[] order) =>
        graph.Add("Transpose", name, [value], With("perm", order));

    private string Block(int layer, string rows, Shapes shapes)
    {
        string name = $"block.{layer}.",
            block = $"{prefix}{layer}.";
        FloatArray inWeight = weight(block + "attn.in_proj_weight"),
            inBias = weight(block + "attn.in_proj_bias");
        string normed = Norm(name + "norm1", rows, block + "ln_1");
        // [batch, heads, headWidth, tokens]
        string keys = Transpose(name + "k", Reshape(name + "k.heads", Projected("k", 1, normed), shapes.Heads), 0, 2, 3, 1);
        string values = Transpose(name + "v", Reshape(name + "v.heads", Projected("v", 2, normed), shapes.Heads), 0, 2, 1, 3);
        string queriesShape = shapes.Heads;
        if (IsLast(layer))
        {
            normed = ReadRows(name + "norm1", normed);
            rows = ReadRows(name + "rows", rows);
            queriesShape = shapes.ReadHeads;
        }
        string queries = Transpose(name + "q", Reshape(name + "q.heads", Projected("q", 0, normed), queriesShape), 0, 2, 1, 3);
        string heads = Attend(layer, name, queries, keys, values);
        string attended = Transpose(name + "attended.tokens", heads, 0, 2, 1, 3);
        attended = Reshape(name + "attended", attended, shapes.Rows);
        rows = graph.Add("Add", name + "attention.out", [Linear(name + "out", attended, block + "attn.out_proj"), rows]);

        string hidden = Linear(name + "up", Norm(name + "norm2", rows, block + "ln_2"), block + "mlp.c_fc");
        hidden = config.Activation == ClipActivation.QuickGelu ? Silu(name, hidden) : Gelu(name, hidden);
        return graph.Add("Add", name + "mlp.out", [Linear(name + "down", hidden, block + "mlp.c_proj"), rows]);

        string Projected(string what, int part, string from)
        {
            long width = config.Width;
            return linear.Add($"{name}{what}.rows", from, inWeight.Rows(part * width, width), inBias.Rows(part * width, width));
        }
    }

    private string Silu(string name, string x) => graph.Add("Mul", name + "hidden", [x, graph.Add("Sigmoid", name + "gate", [x])]);

    /// <summary>½ x (1 + erf(x / √2)): the operator Gelu was added after the graph's opset, and runtimes recognise this form.</summary>
    private string Gelu(string name, string x)
    {
        string erf = graph.Add(
            "Erf",
            name + "erf",
            [graph.Add("Div", name + "erf.in", [x, graph.Constant(name + "root2", (float)Math.Sqrt(2))])]
        );
        string gate = graph.Add("Add", name + "gate", [erf, graph.Constant(name + "one", 1f)]);
        return graph.Add("Mul", name + "hidden", [graph.Add("Mul", name + "gated", [x, gate]), graph.Constant(name + "half", 0.5f)]);
    }

    private string Linear(string name, string rows, string parameters) =>
        linear.Add(name, rows, weight(parameters + ".weight"), weight(parameters + ".bias"));
}
