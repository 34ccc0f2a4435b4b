using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>Gradients of the inputs of <see cref="MixedAttention"/>, in their shapes; null where not needed.</summary>
internal sealed record MixedAttentionGradients(Tensor? Projected, Tensor? Queries, Tensor? PromptKeysValues, Tensor? Weights)
{
    /// <summary>Number of arguments of <see cref="MixedAttention.Attend"/>: autograd expects a gradient or null for each.</summary>
    public const int Arguments = 7;

    /// <summary>The gradients in the order that autograd expects.</summary>
    /// <param name="owner">Takes ownership of them.</param>
    public List<Tensor> HandedOver(BackwardTensors owner)
    {
        foreach (Tensor? gradient in new[] { Projected, Queries, PromptKeysValues, Weights })
            owner.Keep(gradient);
        return [Projected!, Queries!, PromptKeysValues!, Weights!, null!, null!, null!];
    }
}

/// <summary>
/// What <see cref="MixedAttention"/> keeps from its forward pass, and the hand-written backward pass.
/// With A = ∂O · Attention(tokens), D_j = ∂O · V_j and B_c = σ_c A + Σ_j share_j D_j (the gradient times candidate c's own output):
/// ∂a_0 = ΣA, ∂a_c = ΣB_c, ∂s_j = a_c share_j (D_j − B_c), ∂s_i = P_i ((a_0 + Σ a_c σ_c) D_i − (a_0 A + Σ a_c σ_c B_c)).
/// </summary>
internal sealed record MixedAttentionState(AttentionLayout Layout, PromptGroups? Groups, BackwardTensors Owner, bool SeparateQueries)
{
    public bool NeedsTokens { get; init; }
    public bool NeedsPrompts { get; init; }
    public bool NeedsWeights { get; init; }

    public required Tensor Q { get; set; } // [heads, sequences, queries, headWidth]
    public required Tensor TokensOnly { get; set; } // [heads · sequences, queries, headWidth]
    public Tensor? K { get; set; } // [heads, sequences, shared + keys, headWidth]
    public Tensor? V { get; set; }
    public Tensor? Attention { get; set; } // [heads · sequences, queries, shared + keys]
    public Tensor? PromptK { get; set; } // [heads, slots, headWidth]
    public Tensor? PromptV { get; set; }
    public Tensor? Kept { get; set; } // σ_c [heads · sequences · queries, candidates]
    public Tensor? Shares { get; set; } // [heads · sequences · queries, candidates, longest]
    public Tensor? KeptInAll { get; set; } // a_0 + Σ a_c σ_c [heads · sequences, queries, 1]
    public Tensor? Weights { get; set; } // [1 + candidates]

    public RowPacking? OutputPacking => SeparateQueries ? Layout.QueryPacking : Layout.KeyPacking;

    public void Save(autograd.AutogradContext ctx)
    {
        List<Tensor> tensors = [Q, TokensOnly, K!, V!, Attention!, PromptK!, PromptV!, Kept!, Shares!, KeptInAll!, Weights!];
        // The weights are an input and belong to the caller; the others were created in the dispose scope of the forward pass.
        foreach (Tensor? tensor in tensors)
            if (tensor is not null && !ReferenceEquals(tensor, Weights))
                tensor.MoveToOuterDisposeScope();
        ctx.save_for_backward(tensors);
        ctx.save_data(
            "state",
            this with
            {
                Q = null!,
                TokensOnly = null!,
                K = null,
                V = null,
                Attention = null,
                PromptK = null,
                PromptV = null,
                Kept = null,
                Shares = null,
                KeptInAll = null,
                Weights = null,
            }
        );
    }

    public static MixedAttentionState From(autograd.AutogradContext ctx) => (MixedAttentionState)ctx.get_data("state");

    /// <summary>A copy with the saved tensors; throws if one of them was modified in place since the forward pass.</summary>
    public MixedAttentionState Load(autograd.AutogradContext ctx)
    {
        List<Tensor> t = ctx.get_saved_variables();
        return this with
        {
            Q = t[0],
            TokensOnly = t[1],
            K = t[2],
            V = t[3],
            Attention = t[4],
            PromptK = t[5],
            PromptV = t[6],
            Kept = t[7],
            Shares = t[8],
            KeptInAll = t[9],
            Weights = t[10],
        };
    }

    public MixedAttentionGradients Backward(Tensor outputGradient)
    {
        int heads = Layout.Heads;
        long headWidth = Q.shape[3];
        Tensor slots = OutputPacking?.SpreadWithZeros(outputGradient) ?? outputGradient;
        // Factors of matrix products have the type of the projections; sums and intermediate values are float32.
        ScalarType type = Q.dtype;
        // [heads, sequences, queries, headWidth]
        Tensor factorO = slots.view(Layout.Sequences, Layout.Queries, heads, headWidth).permute(2, 0, 1, 3).contiguous();
        Tensor dO = MixedAttention.As(factorO, ScalarType.Float32);
        Tensor dOFlat = MixedAttention.Flat(dO);
        Tensor ownProduct = (dOFlat * TokensOnly).sum(-1, keepdim: true); // A [heads · sequences, queries, 1]

        Tensor? dPrompts = null,
            dWeights = null,
            dQ = null;
        Tensor tokenGradient = dOFlat,
            subtrahend = ownProduct;
        if (Groups is not null)
        {
            Tensor mixture = Weights!.narrow(0, 1, Groups.Count);
            Tensor a = ownProduct.view(-1, 1);
            Tensor dByHead = factorO.view(heads, -1, headWidth);
            Tensor d = MixedAttention.Product(dByHead, PromptV!.transpose(1, 2)).view(-1, Groups.Count, Groups.Longest); // D_j
            Tensor b = (Shares! * d).sum(-1).PlusInPlace(Kept! * a); // B_c
            if (NeedsWeights)
                dWeights = cat([a.sum().view(1), b.sum(0L)]);
            Tensor weightedKept = Kept! * mixture;
            subtrahend = (weightedKept * b).sum(-1, keepdim: true).PlusInPlace(a * Weights[0]).view_as(ownProduct);
            tokenGradient = dOFlat * KeptInAll!;

            Tensor promptWeights = (Shares! * mixture.unsqueeze(-1)); // a_c share_j
            Tensor dScores = d.sub_(b.unsqueeze(-1)).mul_(promptWeights).view(heads, -1, Groups.Count * Groups.Longest);
            if (NeedsPrompts)
            {
                Tensor dK = MixedAttention.Product(dScores.transpose(1, 2), Q.view(heads, -1, headWidth)); // [heads, slots, headWidth]
                Tensor dV = MixedAttention.Product(promptWeights.view_as(dScores).transpose(1, 2), dByHead);
                dPrompts = MixedAttention.As(
                    Groups.Gather(stack([dK, dV]).permute(2, 0, 1, 3).reshape(Groups.Count * Groups.Longest, -1)),
                    type
                );
            }
            if (NeedsTokens)
                dQ = MixedAttention.Product(dScores, PromptK!).view_as(dO);
        }

        if (!NeedsTokens)
            return new MixedAttentionGradients(null, null, dPrompts, dWeights);
        Tensor tokenFactor = MixedAttention.As(tokenGradient, type);
        Tensor dTokenScores = MixedAttention.As(
            MixedAttention.Product(tokenFactor, MixedAttention.Flat(V!).transpose(1, 2)).sub_(subtrahend).mul_(Attention!),
            type
        );
        Tensor dQTokens = MixedAttention.Product(dTokenScores, MixedAttention.Flat(K!)).view_as(dO);
        dQ = dQ is null ? dQTokens : dQTokens.PlusInPlace(dQ);
        Tensor dKeys = WithoutSharedKeys(MixedAttention.Product(dTokenScores.transpose(1, 2), MixedAttention.Flat(Q)).view_as(K!));
        Tensor dValues = WithoutSharedKeys(MixedAttention.Product(Attention!.transpose(1, 2), tokenFactor).view_as(V!));

        Tensor Rows(RowPacking? packing, params Tensor[] parts)
        {
            Tensor padded = MixedAttention.FromHeads(parts, Layout, packing is null ? type : ScalarType.Float32);
            return packing is null ? padded : MixedAttention.As(packing.Sum(padded), type);
        }
        return SeparateQueries
            ? new MixedAttentionGradients(Rows(Layout.KeyPacking, dKeys, dValues), Rows(Layout.QueryPacking, dQ), dPrompts, dWeights)
            : new MixedAttentionGradients(Rows(Layout.KeyPacking, dQ, dKeys, dValues), null, dPrompts, dWeights);
    }

    /// <summary>
    /// Adds the gradients that all sequences have for the shared keys to those of sequence 0, which owns the shared keys.
    /// </summary>
    private Tensor WithoutSharedKeys(Tensor gradient)
    {
        if (Layout.SharedKeys == 0)
            return gradient;
        Tensor shared = gradient.narrow(2, 0, Layout.SharedKeys).sum(1); // [heads, shared, headWidth]
        Tensor own = gradient.narrow(2, Layout.SharedKeys, Layout.Keys);
        own.select(1, 0).narrow(1, 0, Layout.SharedKeys).PlusInPlace(shared);
        return own;
    }
}
