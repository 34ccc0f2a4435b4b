using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// <see cref="MixedAttention"/> by kernels written in C#: float32 on the CPU, on the calling thread. Either along <see cref="RowPaths"/> by
/// <see cref="PathKernel"/>, with libtorch computing the products with the prompts of a layer, or head by head by <see cref="HeadKernel"/>.
/// </summary>
internal sealed class KernelAttention : autograd.SingleTensorFunction<KernelAttention>
{
    public override string Name => nameof(KernelAttention);

    /// <summary>Prompted attention over one block's projections; all tensors must be contiguous float32 on the CPU.</summary>
    /// <inheritdoc cref="MixedAttention.Attend"/>
    /// <exception cref="ArgumentException">A tensor is not contiguous float32 on the CPU, or does not match the layout or the
    /// groups.</exception>
    public static Tensor Attend(
        Tensor projected,
        Tensor? queries,
        Tensor? promptKeysValues,
        Tensor? weights,
        PromptGroups? groups,
        AttentionLayout layout,
        BackwardTensors backward
    ) => apply(projected, queries!, promptKeysValues!, weights!, groups!, layout, backward);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] arguments)
    {
        using var scope = NewDisposeScope();
        var state = new State((AttentionLayout)arguments[5], arguments[4] as PromptGroups, (BackwardTensors)arguments[6])
        {
            NeedsTokens = arguments[0] is Tensor { requires_grad: true } || arguments[1] is Tensor { requires_grad: true },
            NeedsPrompts = arguments[2] is Tensor { requires_grad: true },
            NeedsWeights = arguments[3] is Tensor { requires_grad: true },
            Projected = (Tensor)arguments[0],
            AskedAlone = arguments[1] as Tensor,
            PromptKeysValues = arguments[2] as Tensor,
            Weights = arguments[3] as Tensor,
        };
        Tensor output = state.Forward();
        state.Save(ctx);
        return output.MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor outputGradient)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        State state = State.From(ctx);
        return state.Owner.Guard(MixedAttentionGradients.Arguments, () =>
            state.Load(ctx).Backward(outputGradient.contiguous()).HandedOver(state.Owner)
        );
    }

    /// <summary>What the forward pass keeps for the backward pass.</summary>
    private sealed unsafe record State(AttentionLayout Layout, PromptGroups? Groups, BackwardTensors Owner)
    {
        public bool NeedsTokens { get; init; }
        public bool NeedsPrompts { get; init; }
        public bool NeedsWeights { get; init; }

        public required Tensor Projected { get; init; } // [rows, 3 · width], or [rows, 2 · width] beside separate queries
        public Tensor? AskedAlone { get; init; } // [queries, width]
        public Tensor? PromptKeysValues { get; init; } // [prompt rows, 2 · width]
        public Tensor? Weights { get; init; } // [1 + candidates]

        // In the order of the kernel:
        public Tensor? Shares { get; private set; } // [heads, queries, prompt rows]
        public Tensor? Attention { get; private set; }
        public Tensor? Kept { get; private set; } // [queries, heads, candidates]
        public Tensor? KeptInAll { get; private set; } // [queries, heads]
        public Tensor? Totals { get; private set; } // [queries, heads], HeadKernel only
        public Tensor? TokensOnly { get; private set; } // [queries, width]

        private long Queries => Layout.Paths?.Count ?? Layout.Sequences * Layout.Queries;

        private long Rows => Layout.Paths?.Rows ?? Layout.Sequences * Layout.Keys;

        private int Parts => AskedAlone is null ? 3 : 2;

        private int Width => (int)(Projected.shape[1] / Parts);

        private int[] Lengths => Groups is null ? [] : [.. Groups.Lengths];

        private PathKernel PathKernel => new(Layout.Paths!, Layout.Heads, Width / Layout.Heads, Lengths);

        private HeadKernel HeadKernel =>
            new((int)Layout.Sequences, (int)Layout.Queries, (int)Layout.Keys, Layout.Heads, Width / Layout.Heads, Lengths);

        public Tensor Forward()
        {
            long queries = Queries;
            int heads = Layout.Heads;
            // Check shapes here: the kernels use raw pointers and would not notice a wrong one.
            KernelTensor.Require(Projected, Rows, (long)Parts * Width);
            if (AskedAlone is not null)
                KernelTensor.Require(AskedAlone, queries, Width);
            else if (queries != Rows)
                throw new ArgumentException($"{queries} queries of {Rows} rows need projections of their own.");
            if (Groups is not null)
            {
                KernelTensor.Require(PromptKeysValues!, Groups.Rows, 2L * Width);
                KernelTensor.Require(Weights!, 1 + Groups.Count);
                Kept = Projected.new_empty([queries, heads, Groups.Count]);
            }
            Tensor output = Projected.new_empty([queries, Width]);
            TokensOnly = Projected.new_empty([queries, Width]);
            KeptInAll = Projected.new_empty([queries, heads]);
            if (Layout.Paths is null)
                ForwardByHead(output);
            else
                ForwardAlongPaths(output);
            if (!NeedsTokens)
                Attention = null;
            return output;
        }

        private void ForwardByHead(Tensor output)
        {
            // The kernel ignores these.
            if (Layout is not { Mask: null, SharedKeys: 0, KeyPacking: null, QueryPacking: null } || !Sgemm.IsAvailable)
                throw new ArgumentException(
                    "Attention goes head by head only without mask, shared keys and packing, and where libtorch exports its BLAS."
                );
            HeadKernel kernel = HeadKernel;
            (Attention, Totals) = (Projected.new_empty([kernel.AttentionSize]), Projected.new_empty([kernel.TotalsSize]));
            if (Groups is not null)
                Shares = Projected.new_empty([Layout.Heads, Queries, Groups.Rows]);
            using Tensor scratch = Projected.new_empty([kernel.ForwardScratch]);
            kernel.Forward(Pass(output, promptWeights: null, scratch));
        }

        private void ForwardAlongPaths(Tensor output)
        {
            Attention = Projected.new_empty([(long)Layout.Heads * Layout.Paths!.Keys.Length]);
            Tensor? promptWeights = null;
            if (Groups is not null)
            {
                Shares = bmm(Asked, Prompt(0).transpose(1, 2));
                promptWeights = empty_like(Shares);
            }
            PathKernel.Forward(Pass(output, promptWeights));
            if (promptWeights is not null)
                ByHead(output, 0, 1).PlusInPlace(bmm(promptWeights, Prompt(1)));
        }

        /// <param name="gradient">[queries, width]</param>
        public MixedAttentionGradients Backward(Tensor gradient)
        {
            Tensor? toProjected = !NeedsTokens ? null
                : Layout.Paths is null ? empty_like(Projected)
                : zeros_like(Projected),
                toAsked = NeedsTokens && AskedAlone is not null ? empty_like(AskedAlone) : null;
            Tensor? toPrompts;
            var toWeights = new double[1 + (Groups?.Count ?? 0)];
            fixed (double* weightGradients = toWeights)
            {
                float* projected = KernelTensor.Pointer(toProjected);
                var back = new BackwardPass
                {
                    OutputGradient = KernelTensor.Pointer(gradient),
                    QueryGradients = toAsked is null ? projected : KernelTensor.Pointer(toAsked),
                    QueryGradientStride = toAsked is null ? Parts * Width : Width,
                    KeyGradients = projected + (Parts - 2) * Width,
                    ValueGradients = projected + (Parts - 1) * Width,
                    KeyGradientStride = Parts * Width,
                    WeightGradients = weightGradients,
                };
                toPrompts = Layout.Paths is null ? BackwardByHead(back) : BackwardAlongPaths(back, gradient, toProjected, toAsked);
            }
            return new MixedAttentionGradients(
                toProjected,
                toAsked,
                toPrompts,
                NeedsWeights ? NativeTensor.From(Array.ConvertAll(toWeights, value => (float)value)) : null
            );
        }

        private Tensor? BackwardByHead(BackwardPass back)
        {
            HeadKernel kernel = HeadKernel;
            Tensor? toPrompts = NeedsPrompts ? zeros_like(PromptKeysValues!) : null;
            if (toPrompts is not null)
            {
                back.PromptKeyGradients = KernelTensor.Pointer(toPrompts);
                back.PromptValueGradients = back.PromptKeyGradients + Width;
            }
            using Tensor scratch = Projected.new_empty([kernel.BackwardScratch]);
            kernel.Backward(Pass(output: null, promptWeights: null, scratch), back);
            return toPrompts;
        }

        private Tensor? BackwardAlongPaths(BackwardPass back, Tensor gradient, Tensor? toProjected, Tensor? toAsked)
        {
            Tensor? scores = Groups is null ? null : bmm(ByHead(gradient, 0, 1), Prompt(1).transpose(1, 2)),
                promptWeights = scores is not null && NeedsPrompts ? empty_like(scores) : null;
            back.ScoreGradients = KernelTensor.Pointer(scores);
            PathKernel.Backward(Pass(output: null, promptWeights), back);
            if (scores is not null && NeedsTokens)
                (toAsked is null ? ByHead(toProjected!, 0, Parts) : ByHead(toAsked, 0, 1)).PlusInPlace(bmm(scores, Prompt(0)));
            if (promptWeights is null)
                return null;
            Tensor toKeys = bmm(scores!.transpose(1, 2), Asked),
                toValues = bmm(promptWeights.transpose(1, 2), ByHead(gradient, 0, 1)); // [heads, prompt rows, headWidth]
            return stack([toKeys, toValues]).permute(2, 0, 1, 3).reshape(Groups!.Rows, -1);
        }

        public void Save(autograd.AutogradContext ctx)
        {
            List<Tensor> tensors =
            [
                Projected,
                AskedAlone!,
                PromptKeysValues!,
                Weights!,
                Shares!,
                Attention!,
                Kept!,
                KeptInAll!,
                Totals!,
                TokensOnly!,
            ];
            // The first four are inputs of the caller; the others were created in the dispose scope of the forward pass.
            foreach (Tensor? made in tensors.Skip(4))
                made?.MoveToOuterDisposeScope();
            ctx.save_for_backward(tensors);
            ctx.save_data(
                "state",
                this with
                {
                    Projected = null!,
                    AskedAlone = null,
                    PromptKeysValues = null,
                    Weights = null,
                    Shares = null,
                    Attention = null,
                    Kept = null,
                    KeptInAll = null,
                    Totals = null,
                    TokensOnly = null,
                }
            );
        }

        public static State From(autograd.AutogradContext ctx) => (State)ctx.get_data("state");

        /// <summary>A copy with the saved tensors; throws if one of them was modified in place since the forward pass.</summary>
        public State Load(autograd.AutogradContext ctx)
        {
            List<Tensor> t = ctx.get_saved_variables();
            return this with
            {
                Projected = t[0],
                AskedAlone = t[1],
                PromptKeysValues = t[2],
                Weights = t[3],
                Shares = t[4],
                Attention = t[5],
                Kept = t[6],
                KeptInAll = t[7],
                Totals = t[8],
                TokensOnly = t[9],
            };
        }

        private ForwardPass Pass(Tensor? output, Tensor? promptWeights, Tensor? scratch = null)
        {
            float* projected = KernelTensor.Pointer(Projected),
                promptKeys = KernelTensor.Pointer(PromptKeysValues);
            return new ForwardPass
            {
                Queries = AskedAlone is null ? projected : KernelTensor.Pointer(AskedAlone),
                QueryStride = AskedAlone is null ? Parts * Width : Width,
                Keys = projected + (Parts - 2) * Width,
                Values = projected + (Parts - 1) * Width,
                KeyStride = Parts * Width,
                PromptKeys = promptKeys,
                PromptValues = promptKeys + Width,
                Weights = KernelTensor.Pointer(Weights),
                Shares = KernelTensor.Pointer(Shares),
                PromptWeights = KernelTensor.Pointer(promptWeights),
                Attention = KernelTensor.Pointer(Attention),
                Kept = KernelTensor.Pointer(Kept),
                KeptInAll = KernelTensor.Pointer(KeptInAll),
                Totals = KernelTensor.Pointer(Totals),
                TokensOnly = KernelTensor.Pointer(TokensOnly),
                Output = KernelTensor.Pointer(output),
                Scratch = KernelTensor.Pointer(scratch),
            };
        }

        /// <summary>[heads, queries, headWidth], a view.</summary>
        private Tensor Asked => AskedAlone is null ? ByHead(Projected, 0, Parts) : ByHead(AskedAlone, 0, 1);

        /// <summary>[heads, prompt rows, headWidth] the prompts' keys (0) or values (1), a view.</summary>
        private Tensor Prompt(int part) => ByHead(PromptKeysValues!, part, 2);

        /// <summary>One part of [n, parts · width] as [heads, n, headWidth], a view.</summary>
        private Tensor ByHead(Tensor rows, int part, int parts) =>
            rows.view(rows.shape[0], parts, Layout.Heads, -1).select(1, part).permute(1, 0, 2);
    }
}
