using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The constant mixture weights of a layer's candidates. Owns its tensors.</summary>
internal sealed class FoldedMixture : IDisposable
{
    /// <summary>
    /// Upper bound to which s_j − log Z, the lead of a prompt row's score over the log-sum-exp of the tokens', is clamped: the exponentials
    /// of all rows of a layer still add up in float32, and the share of the tokens is then below 10⁻³⁴.
    /// </summary>
    public const float LargestLead = 80;

    private FoldedMixture(Tensor plain, Tensor weights, Tensor members) => (Plain, Weights, Members) = (plain, weights, members);

    /// <summary>[] the weight of the block without prompts.</summary>
    public Tensor Plain { get; }

    /// <summary>[candidates] the weights of the other candidates.</summary>
    public Tensor Weights { get; }

    /// <summary>[rows, candidates], 1 where a row belongs to a candidate and 0 elsewhere.</summary>
    public Tensor Members { get; }

    /// <returns>Null for a single candidate of weight 1, whose attention is an ordinary softmax.</returns>
    public static FoldedMixture? From(LayerPrompt prompt)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (prompt.IsFixed)
            return null;
        int candidates = prompt.Groups.Count;
        var members = new float[prompt.Groups.Rows * candidates];
        int row = 0;
        for (int candidate = 0; candidate < candidates; candidate++)
        {
            for (int i = 0; i < prompt.Groups.Lengths[candidate]; i++)
                members[row++ * candidates + candidate] = 1;
        }
        return new FoldedMixture(
            prompt.Weights[0].detach().clone().DetachFromDisposeScope(),
            prompt.Weights.narrow(0, 1, candidates).detach().clone().DetachFromDisposeScope(),
            NativeTensor.From(members, [prompt.Groups.Rows, candidates], prompt.Weights.device).DetachFromDisposeScope()
        );
    }

    /// <summary>Σ_c a_c · softmax over the tokens and the rows of candidate c (see <see cref="Attention.MixedAttention"/>).</summary>
    /// <param name="scores">[batch, heads, queries, tokens + rows]</param>
    /// <param name="tokens">How many of the keys are tokens; the prompt rows follow them.</param>
    /// <returns>[batch, heads, queries, tokens + rows], summing to 1 over the keys; in the caller's dispose scope.</returns>
    public Tensor Attention(Tensor scores, long tokens)
    {
        using var scope = NewDisposeScope();
        Tensor tokenScores = scores.narrow(-1, 0, tokens),
            rowScores = scores.narrow(-1, tokens, Members.shape[0]);
        Tensor ratios = (rowScores - tokenScores.logsumexp(-1, keepdim: true)).AtMost(LargestLead).exp(); // exp(s_j) / Z
        Tensor shares = Weights / ratios.matmul(Members).PlusOne(); // a_c · Z / (Z + Z_c)
        Tensor kept = Plain.Plus(shares.sum(-1, keepdim: true));
        return cat([tokenScores.softmax(-1) * kept, ratios * shares.matmul(Members.t())], -1).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        Plain.Dispose();
        Weights.Dispose();
        Members.Dispose();
    }
}
