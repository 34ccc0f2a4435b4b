using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.TensorFiles;
using Onnx;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>The plain <see cref="TextTower"/> as ONNX nodes: attention is causal, so tokens after a text's end have no effect, and the last
/// block computes only the end-of-text token.</summary>
internal sealed class OnnxTextTower : OnnxBlocks
{
    private readonly OnnxGraph _graph;
    private readonly TextTowerArrays _tower;
    private readonly string _length,
        _tokensShape,
        _ends,
        _mask,
        _endMask;

    /// <param name="graph">The graph to add the nodes to.</param>
    /// <param name="tower">The text tower; not modified.</param>
    /// <param name="tokens">Name of the token ids, [batch, length]; after a text's end, any ids of the vocabulary.</param>
    /// <param name="linear">Writes the linear layers.</param>
    public OnnxTextTower(OnnxGraph graph, TextTowerArrays tower, string tokens, IOnnxLinear linear)
        : base(graph, tower.Config.Text, ClipLayout.TextBlocks, tower.Weight, linear)
    {
        (_graph, _tower) = (graph, tower);
        long width = tower.Config.Text.Width,
            heads = tower.Config.Text.Heads,
            headWidth = width / heads;
        _length = graph.Add("Shape", "length", [tokens], With("start", 1), With("end", 2));
        string any = graph.Integers("any", -1),
            ofWidth = graph.Integers("width", width),
            ofHeads = graph.Integers("heads", heads, headWidth);
        _tokensShape = graph.Add("Concat", "shape.tokens", [any, _length, ofWidth], With("axis", 0));
        var shapes = new Shapes(
            graph.Integers("shape.rows", -1, width),
            graph.Add("Concat", "shape.heads", [any, _length, ofHeads], With("axis", 0)),
            graph.Integers("shape.end_heads", -1, 1, heads, headWidth)
        );
        _ends = Ends(tokens);
        (_mask, _endMask) = Masks();
        Features = Project(Blocks(Embed(tokens, shapes.Rows), shapes));
    }

    /// <summary>Name of the features: [batch, embedding], not normalised.</summary>
    public string Features { get; }

    protected override string Attend(int layer, string name, string queries, string keys, string values)
    {
        string scores = _graph.Add("MatMul", name + "scores", [queries, keys]);
        return Attended(name, _graph.Add("Add", name + "scores.causal", [scores, IsLast(layer) ? _endMask : _mask]), values);
    }

    protected override string ReadRows(string name, string rows) =>
        _graph.Add("GatherND", name + ".end", [Reshape(name + ".tokens", rows, _tokensShape), _ends], With("batch_dims", 1));

    /// <summary>[batch, 1] the position of each text's end: the first occurrence of the end-of-text id, or of the highest id
    /// (<see cref="ClipConfig.EndOfTextId"/>). ArgMax returns the first of several equal values.</summary>
    private string Ends(string tokens)
    {
        string from = _tower.Config.EndOfTextId is int id
            ? _graph.Add("Equal", "tokens.end", [tokens, _graph.Scalar("end_of_text", id)])
            : tokens;
        string ranked = _graph.Add("Cast", "tokens.ranked", [from], With("to", (long)TensorProto.Types.DataType.Int32));
        return _graph.Add("ArgMax", "ends", [ranked], With("axis", 1), With("keepdims", 1));
    }

    /// <summary>The causal masks that are added to the scores: [length, length] for all tokens, and [batch, 1, 1, length] for only the end
    /// tokens.</summary>
    private (string All, string Ends) Masks()
    {
        int longest = _tower.Config.ContextLength;
        string causal = _graph.Constant("causal", FloatArray.Filled([longest, longest], to =>
            {
                for (int query = 0; query < longest; query++)
                    to.Slice(query * longest + query + 1, longest - query - 1).Fill(float.NegativeInfinity);
            }));
        string columns = Beginning("causal.columns", causal, 1);
        string ofEnds = _graph.Add("Gather", "causal.ends", [columns, _ends], With("axis", 0));
        return (
            Beginning("causal.rows", columns, 0),
            _graph.Add("Unsqueeze", "causal.end_heads", [ofEnds, _graph.Integers("causal.heads_axis", 1)])
        );
    }

    private string Embed(string tokens, string rowsShape)
    {
        string words = _graph.Add(
            "Gather",
            "tokens.embedded",
            [_graph.Constant("token_embedding", _tower.Weight("token_embedding.weight")), tokens],
            With("axis", 0)
        );
        string positions = Beginning("positions", _graph.Constant("positions.all", _tower.Weight("positional_embedding")), 0);
        return Reshape("embedded", _graph.Add("Add", "tokens.placed", [words, positions]), rowsShape);
    }

    private string Project(string endRows) =>
        _graph.Add(
            "MatMul",
            "features",
            [Norm("final_norm", endRows, "ln_final"), _graph.Constant("projection", _tower.Weight("text_projection"))]
        );

    /// <summary>Takes the first elements along an axis, as many as the texts have tokens.</summary>
    private string Beginning(string name, string of, long axis) =>
        _graph.Add("Slice", name, [of, _graph.Integers(name + ".start", 0), _length, _graph.Integers(name + ".axis", axis)]);
}
