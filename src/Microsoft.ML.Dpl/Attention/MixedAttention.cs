using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Computes Σ_c a_c · softmax(Q [K; K_c]ᵀ) [V; V_c] over all candidates c exactly, in one pass (candidate 0 has no prompt).
/// With Z = Σ exp(token scores) and Z_c = Σ exp(scores of prompt c), candidate c keeps the share σ_c = Z / (Z + Z_c) of the tokens, and
/// <c>O = (a_0 + Σ_c a_c σ_c) · Attention(tokens) + Σ_c a_c Σ_j exp(s_j) / (Z + Z_c) · V_j</c>; the softmax over the tokens is taken once.
/// Heads are the leading dimension throughout, so one product per head covers the prompts of a layer and all queries, without copying
/// the prompts for each sequence. Factors of matrix products have the type of the projections; everything else is float32.
/// </summary>
internal sealed class MixedAttention : autograd.SingleTensorFunction<MixedAttention>
{
    public override string Name => nameof(MixedAttention);

    /// <summary>Prompted attention over one block's projections; differentiable with respect to every tensor passed.</summary>
    /// <param name="projected">[rows, 3 · width] Q, K, V of the rows, Q scaled; or [rows, 2 · width] K, V where <paramref name="queries"/>
    /// is given</param>
    /// <param name="queries">[query rows, width], scaled; null: every row is a query</param>
    /// <param name="promptKeysValues">[Σ lengths, 2 · width], or null without prompts</param>
    /// <param name="weights">[1 + candidates], or null without prompts</param>
    /// <param name="groups">Which candidate each prompt row belongs to, or null without prompts.</param>
    /// <param name="layout">The rows that each row attends to.</param>
    /// <param name="backward">Owns the gradients until the step ends.</param>
    /// <returns>[query rows, width] in the caller's dispose scope.</returns>
    public static Tensor Attend(
        Tensor projected,
        Tensor? queries,
        Tensor? promptKeysValues,
        Tensor? weights,
        PromptGroups? groups,
        AttentionLayout layout,
        BackwardTensors backward
    ) =>
        layout.HasKernel && projected.dtype == ScalarType.Float32
            ? KernelAttention.Attend(projected, queries, promptKeysValues, weights, groups, layout, backward)
            : apply(projected, queries!, promptKeysValues!, weights!, groups!, layout, backward);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] arguments)
    {
        using var scope = NewDisposeScope();
        var projected = (Tensor)arguments[0];
        var queries = arguments[1] as Tensor;
        var promptKeysValues = arguments[2] as Tensor;
        var weights = arguments[3] as Tensor;
        var groups = arguments[4] as PromptGroups;
        var layout = (AttentionLayout)arguments[5];

        long width = projected.shape[1] / (queries is null ? 3 : 2),
            headWidth = width / layout.Heads;
        Tensor[] parts = ToHeads(layout.KeyPacking?.Spread(projected) ?? projected, layout, layout.Keys, queries is null ? 3 : 2);
        Tensor q = (
            queries is null ? parts[0] : ToHeads(layout.QueryPacking?.Spread(queries) ?? queries, layout, layout.Queries, 1)[0]
        ).contiguous();
        Tensor k = WithSharedKeys(parts[^2], layout),
            v = WithSharedKeys(parts[^1], layout);

        Tensor scores = Product(Flat(q), Flat(k).transpose(1, 2)); // [heads · sequences, queries, shared + keys]
        if (layout.Mask is not null)
            scores.view(layout.Heads, layout.Sequences, layout.Queries, -1).PlusInPlace(layout.Mask);
        Tensor attention = scores.softmax(-1);
        Tensor factor = As(attention, v.dtype);
        Tensor tokensOnly = Product(factor, Flat(v)); // [heads · sequences, queries, headWidth]

        Tensor output = tokensOnly;
        var saved = new MixedAttentionState(layout, groups, (BackwardTensors)arguments[6], SeparateQueries: queries is not null)
        {
            NeedsTokens = projected.requires_grad || queries is { requires_grad: true },
            NeedsPrompts = promptKeysValues is { requires_grad: true },
            NeedsWeights = weights is { requires_grad: true },
            Q = q,
            TokensOnly = tokensOnly,
        };
        if (saved.NeedsTokens)
            (saved.K, saved.V, saved.Attention) = (k, v, factor);
        if (groups is not null)
        {
            Tensor[] prompt = groups.Spread(promptKeysValues!).view(-1, 2, layout.Heads, headWidth).permute(1, 2, 0, 3).unbind(0);
            Tensor promptK = prompt[0].contiguous(),
                promptV = prompt[1].contiguous(); // [heads, slots, headWidth]
            Tensor promptScores = groups
                .MaskPadding(Product(q.view(layout.Heads, -1, headWidth), promptK.transpose(1, 2)))
                .view(-1, groups.Count, groups.Longest); // [heads · sequences · queries, candidates, longest]

            // log Z of the tokens: the largest softmax weight is exp(largest score − log Z).
            Tensor logTokens = (scores.amax([-1]) - attention.amax([-1]).log_()).view(-1, 1);
            Tensor logTotals = logaddexp(logTokens, promptScores.logsumexp(-1)); // [.., candidates]
            Tensor kept = (logTokens - logTotals).exp_();
            Tensor shares = (promptScores - logTotals.unsqueeze(-1)).exp_(); // exp(s_j) / (Z + Z_c)
            Tensor mixture = weights!.narrow(0, 1, groups.Count);
            Tensor keptInAll = kept.mv(mixture).PlusInPlace(weights[0]).view(tokensOnly.shape[0], -1, 1);
            Tensor promptWeights = (shares * mixture.unsqueeze(-1)).view(layout.Heads, -1, groups.Count * groups.Longest);
            output = (tokensOnly * keptInAll).PlusInPlace(Product(promptWeights, promptV).view_as(tokensOnly));
            (saved.PromptK, saved.PromptV, saved.Kept, saved.Shares, saved.KeptInAll, saved.Weights) = (
                promptK,
                promptV,
                kept,
                shares,
                keptInAll,
                weights
            );
        }

        Tensor rows = FromHeads([output.view(layout.Heads, layout.Sequences, layout.Queries, headWidth)], layout, projected.dtype);
        rows = saved.OutputPacking?.Gather(rows) ?? rows;
        saved.Save(ctx);
        return rows.MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor outputGradient)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        MixedAttentionState saved = MixedAttentionState.From(ctx);
        return saved.Owner.Guard(MixedAttentionGradients.Arguments, () => saved.Load(ctx).Backward(outputGradient).HandedOver(saved.Owner));
    }

    /// <summary>The batched product of two factors, taken in the type of <paramref name="right"/>, as float32.</summary>
    internal static Tensor Product(Tensor left, Tensor right) => As(bmm(As(left, right.dtype), right), ScalarType.Float32);

    /// <summary>Converts values to a type; no copy if they already have it.</summary>
    internal static Tensor As(Tensor values, ScalarType type) => values.dtype == type ? values : values.to(type);

    /// <summary>[sequences · n, parts · width] to parts of [heads, sequences, n, headWidth], views.</summary>
    private static Tensor[] ToHeads(Tensor rows, AttentionLayout layout, long n, int parts) =>
        rows.view(layout.Sequences, n, parts, layout.Heads, -1).permute(2, 3, 0, 1, 4).unbind(0);

    /// <summary>The inverse of <see cref="ToHeads"/>, with one copy.</summary>
    /// <param name="parts">Each [heads, sequences, n, headWidth].</param>
    /// <param name="layout">The layout of the rows.</param>
    /// <param name="type">Type of the result.</param>
    internal static Tensor FromHeads(Tensor[] parts, AttentionLayout layout, ScalarType type)
    {
        long n = parts[0].shape[2],
            headWidth = parts[0].shape[3];
        if (parts.Length == 1)
            return As(parts[0], type).permute(1, 2, 0, 3).reshape(layout.Sequences * n, layout.Heads * headWidth);
        Tensor rows = parts[0].new_empty([layout.Sequences, n, parts.Length, layout.Heads, headWidth], dtype: type);
        for (int part = 0; part < parts.Length; part++)
            rows.select(2, part).copy_(parts[part].permute(1, 2, 0, 3));
        return rows.view(layout.Sequences * n, -1);
    }

    private static Tensor WithSharedKeys(Tensor own, AttentionLayout layout)
    {
        if (layout.SharedKeys == 0)
            return own.contiguous();
        Tensor shared = own.select(1, 0).narrow(1, 0, layout.SharedKeys).unsqueeze(1).expand(-1, layout.Sequences, -1, -1);
        return cat([shared, own], 2);
    }

    internal static Tensor Flat(Tensor heads) => heads.view(-1, heads.shape[^2], heads.shape[^1]);
}
