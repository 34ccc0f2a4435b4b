using Microsoft.ML.Dpl.Network;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>The attention of a layer that mixes candidates as ONNX nodes, equivalent to <see cref="FoldedMixture.Attention"/>.</summary>
internal static class OnnxMixture
{
    /// <param name="graph">The graph to add the nodes to.</param>
    /// <param name="name">Prefix of the nodes' names.</param>
    /// <param name="queries">Name of the scaled queries, [batch, heads, queries, headWidth].</param>
    /// <param name="keys">Name of the keys, [batch, heads, headWidth, tokens].</param>
    /// <param name="values">Name of the values, [batch, heads, tokens, headWidth].</param>
    /// <param name="prompt">The candidates' keys and values.</param>
    /// <param name="mixture">The candidates' weights.</param>
    /// <returns>Name of the result, [batch, heads, queries, headWidth].</returns>
    public static string Attend(
        OnnxGraph graph,
        string name,
        string queries,
        string keys,
        string values,
        PromptArrays prompt,
        MixtureArrays mixture
    )
    {
        string lastAxis = graph.Integers(name + "mixture.axis", -1);
        string tokenScores = graph.Add("MatMul", name + "scores", [queries, keys]);
        string rowScores = graph.Add(
            "MatMul",
            name + "prompt.scores",
            [queries, graph.Constant(name + "k.prompt", prompt.Keys.Transposed())]
        );

        // Computes log Z as a score minus its log-softmax, because the reductions that could give it have a different signature from opset
        // 18 on.
        string logs = graph.Add("LogSoftmax", name + "attention.logs", [tokenScores], With("axis", -1));
        string logTotals = graph.Add("Sub", name + "tokens.totals", [tokenScores, logs]);
        string logTotal = graph.Add(
            "Slice",
            name + "tokens.total",
            [logTotals, graph.Integers(name + "tokens.first", 0), graph.Integers(name + "tokens.second", 1), lastAxis]
        );

        string leads = graph.Add("Sub", name + "prompt.leads", [rowScores, logTotal]);
        string bounded = graph.Add(
            "Min",
            name + "prompt.bounded",
            [leads, graph.Constant(name + "prompt.bound", FoldedMixture.LargestLead)]
        );
        string ratios = graph.Add("Exp", name + "prompt.ratios", [bounded]);
        string ofCandidates = graph.Add(
            "MatMul",
            name + "candidates.ratios",
            [ratios, graph.Constant(name + "candidates.members", mixture.Members)]
        );
        string totals = graph.Add("Add", name + "candidates.totals", [ofCandidates, graph.Constant(name + "candidates.one", 1f)]);
        string shares = graph.Add(
            "Div",
            name + "candidates.shares",
            [graph.Constant(name + "candidates.weights", mixture.Weights), totals]
        );
        string ofRows = graph.Add(
            "MatMul",
            name + "prompt.shares",
            [shares, graph.Constant(name + "candidates.rows", mixture.Members.Transposed())]
        );
        string rowAttention = graph.Add("Mul", name + "prompt.attention", [ratios, ofRows]);
        string kept = graph.Add("ReduceSum", name + "candidates.kept", [shares, lastAxis], With("keepdims", 1));
        kept = graph.Add("Add", name + "tokens.kept", [kept, graph.Constant(name + "plain.weight", mixture.Plain)]);
        string alone = graph.Add("Softmax", name + "tokens.alone", [tokenScores], With("axis", -1));
        string tokenAttention = graph.Add("Mul", name + "attention", [alone, kept]);

        string fromTokens = graph.Add("MatMul", name + "attended.alone", [tokenAttention, values]);
        string fromRows = graph.Add("MatMul", name + "attended.prompt", [rowAttention, graph.Constant(name + "v.prompt", prompt.Values)]);
        return graph.Add("Add", name + "attended.heads", [fromTokens, fromRows]);
    }
}
