using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The constant weights of a layer's candidates. Owns its tensors.</summary>
internal sealed class FoldedMixture : IDisposable
{
    private readonly Tensor _plain; // [] weight of the block without prompts
    private readonly Tensor _weights; // [candidates]
    private readonly Tensor _members; // [rows, candidates], 1 where a row is a candidate's

    private FoldedMixture(Tensor plain, Tensor weights, Tensor members) => (_plain, _weights, _members) = (plain, weights, members);

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
        for (int i = 0; i < prompt.Groups.Lengths[candidate]; i++)
            members[row++ * candidates + candidate] = 1;
        return new FoldedMixture(
            prompt.Weights[0].detach().clone().DetachFromDisposeScope(),
            prompt.Weights.narrow(0, 1, candidates).detach().clone().DetachFromDisposeScope(),
            NativeTensor.From(members, device: prompt.Weights.device).view(prompt.Groups.Rows, candidates).DetachFromDisposeScope()
        );
    }

    /// <summary>Σ_c a_c · softmax over the tokens and the rows of candidate c (see <see cref="Attention.MixedAttention"/>).</summary>
    /// <param name="scores">[batch, heads, queries, tokens + rows]</param>
    /// <param name="tokens">How many of the keys are tokens.</param>
    /// <returns>The same shape, sums to 1; in the caller's dispose scope.</returns>
    public Tensor Attention(Tensor scores, long tokens)
    {
        using var scope = NewDisposeScope();
        Tensor exponentials = (scores - scores.amax([-1], keepdim: true)).exp();
        Tensor ofTokens = exponentials.narrow(-1, 0, tokens),
            ofRows = exponentials.narrow(-1, tokens, _members.shape[0]);
        Tensor total = ofTokens.sum(-1, keepdim: true); // Z
        Tensor shares = _weights / (total + ofRows.matmul(_members)); // a_c / (Z + Z_c)
        Tensor tokenFactor = _plain / total + shares.sum(-1, keepdim: true);
        return cat([ofTokens * tokenFactor, ofRows * shares.matmul(_members.t())], -1).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _plain.Dispose();
        _weights.Dispose();
        _members.Dispose();
    }
}
