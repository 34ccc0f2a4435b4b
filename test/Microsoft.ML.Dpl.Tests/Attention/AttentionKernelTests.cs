using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Attention;

/// <summary>
/// The library's attention kernels in isolation, checked against their definition in float64: along the rows of texts, and head by head for
/// images, whose queries attend to every row. The layouts along paths have no mask, so a fallback to libtorch's operations would be
/// noticed: with them every row would attend to every other.
/// </summary>
public class AttentionKernelTests
{
    private const int Heads = 3,
        HeadWidth = 5,
        Width = Heads * HeadWidth;

    // Each row's predecessor: 0 1 2, then 3 and 4 follow 2, 5 follows 3, and 6 starts a new path.
    private static readonly int[] Before = [-1, 0, 1, 2, 2, 3, -1];

    /// <summary>Which rows attend to which.</summary>
    public enum Form
    {
        AlongPaths,
        AlongPathsOfSome,
        ByHead,
        ByHeadForSome,
    }

    public static TheoryData<Form, int[], double, bool, bool> Cases()
    {
        var cases = new TheoryData<Form, int[], double, bool, bool>();
        foreach (Form form in Enum.GetValues<Form>())
        {
            cases.Add(form, [], 1, true, true);
            cases.Add(form, [1], 1, true, true);
            cases.Add(form, [2, 1, 3], 1, true, true);
            cases.Add(form, [2, 1, 3], 40, true, true); // prompt scores hundreds above and below those of the tokens
            cases.Add(form, [2, 1], 1, false, form is Form.AlongPathsOfSome or Form.ByHeadForSome);
            cases.Add(form, [2, 1], 1, true, false);
            cases.Add(form, [2, 1], 1, false, false);
        }
        return cases;
    }

    /// <summary>Scores hundreds above and below 0, for the tokens as well: a softmax without subtracting the maximum would
    /// overflow.</summary>
    [SkippableTheory]
    [InlineData(Form.AlongPaths)]
    [InlineData(Form.ByHead)]
    public void Scores_far_from_0_are_no_matter(Form form) =>
        Check(form, [2, 1, 3], promptScale: 9, ofRows: true, ofQueries: true, rowScale: 9);

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Output_and_gradients_are_those_of_the_definition(
        Form form,
        int[] lengths,
        double promptScale,
        bool ofRows,
        bool ofQueries
    ) => Check(form, lengths, promptScale, ofRows, ofQueries);

    private static void Check(Form form, int[] lengths, double promptScale, bool ofRows, bool ofQueries, double rowScale = 1)
    {
        LibTorch.EnsureLoaded();
        if (form is Form.ByHead or Form.ByHeadForSome)
            SgemmTests.Require();
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(3, "kernel");
        bool separateQueries = form is Form.AlongPathsOfSome or Form.ByHeadForSome;
        var (layout, seen, count) = LayoutOf(form);
        using AttentionLayout owned = layout;
        using PromptGroups? groups = lengths.Length == 0 ? null : new PromptGroups(lengths, CPU);
        Parameter Input(bool needed, double scale, params long[] shape) => new(randn(shape, generator: generator) * scale, needed);
        Parameter projected = Input(ofRows, rowScale, count, (separateQueries ? 2 : 3) * Width);
        Parameter? queries = separateQueries ? Input(ofQueries, 1, seen.Length, Width) : null,
            prompts = groups is null ? null : Input(true, promptScale, groups.Rows, 2 * Width);
        Parameter? weights = groups is null ? null : new Parameter(rand([1 + lengths.Length], generator: generator));
        Parameter[] parameters = [.. new[] { projected, queries, prompts, weights }.OfType<Parameter>()];
        Tensor toOutput = randn([Width, seen.Length], generator: generator);
        // Transposed, so that the incoming gradient is not contiguous.
        Tensor[] Gradients(Tensor output, params Tensor[] of)
        {
            (output.t() * toOutput).sum().backward();
            return [.. of.Where(tensor => tensor.requires_grad).Select(tensor => tensor.grad!)];
        }

        using var backward = new BackwardTensors();
        Tensor actual = MixedAttention.Attend(projected, queries, prompts, weights, groups, layout, backward);
        Tensor[] gradients = actual.requires_grad ? Gradients(actual, parameters) : [];
        backward.ThrowFailure();

        Tensor[] exact =
        [
            .. parameters.Select(parameter => parameter.detach().to(ScalarType.Float64).requires_grad_(parameter.requires_grad)),
        ];
        Tensor expected = Definition(
            seen,
            exact[0],
            queries is null ? null : exact[1],
            groups is null ? null : exact[^2],
            groups is null ? null : exact[^1],
            lengths
        );
        Close.Relative(expected.detach().to(ScalarType.Float32), actual.detach(), 1e-4, "output");
        Tensor[] expectedGradients = Gradients(expected, exact);
        Assert.Equal(expectedGradients.Length, gradients.Length);
        for (int i = 0; i < gradients.Length; i++)
            Close.Relative(expectedGradients[i].to(ScalarType.Float32), gradients[i], 1e-3, $"gradient {i}");
    }

    /// <summary>Non-finite values must propagate, as in libtorch's operations, so that the training step is rejected.</summary>
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_not_a_number_stays_visible(float value)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(4, "kernel");
        using AttentionLayout layout = LayoutOf(new RowPaths(Before));
        using var groups = new PromptGroups([2, 1], CPU);
        using var backward = new BackwardTensors();
        using var noGrad = no_grad();
        bool[] Finite(Tensor rows, Tensor prompts) =>
            [.. MixedAttention.Attend(rows, null, prompts, ones(3) / 3, groups, layout, backward).isfinite().all(1).data<bool>()];
        Tensor rows = randn([Before.Length, 3 * Width], generator: generator),
            prompts = randn([3, 2 * Width], generator: generator);
        Assert.DoesNotContain(false, Finite(rows, prompts));
        // A non-finite row 3 reaches its own output and those of the rows that follow it on a path.
        Tensor spoilt = rows.clone();
        spoilt[3].fill_(value);
        Assert.Equal([true, true, true, false, true, false, true], Finite(spoilt, prompts));
        prompts[1].fill_(value);
        Assert.DoesNotContain(true, Finite(rows, prompts));
    }

    [SkippableTheory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_not_a_number_stays_in_its_image(float value)
    {
        SgemmTests.Require();
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(4, "kernel");
        var (layout, seen, count) = LayoutOf(Form.ByHead);
        using AttentionLayout owned = layout;
        using var groups = new PromptGroups([2, 1], CPU);
        using var backward = new BackwardTensors();
        using var noGrad = no_grad();
        Tensor rows = randn([count, 3 * Width], generator: generator),
            prompts = randn([3, 2 * Width], generator: generator);
        rows[8].fill_(value);
        bool[] finite =
        [
            .. MixedAttention.Attend(rows, null, prompts, ones(3) / 3, groups, layout, backward).isfinite().all(1).data<bool>(),
        ];
        Assert.Equal(seen.Select(keys => !keys.Contains(8)), finite);
    }

    [Fact]
    public void Tensors_that_do_not_fit_are_refused()
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using AttentionLayout layout = LayoutOf(new RowPaths(Before)),
            last = LayoutOf(new RowPaths(Before, [4, 6]));
        using var groups = new PromptGroups([2, 1], CPU);
        using var backward = new BackwardTensors();
        Tensor rows = zeros(7, 3 * Width),
            keys = zeros(7, 2 * Width),
            prompts = zeros(3, 2 * Width),
            weights = ones(3);
        void Refused(string expected, AttentionLayout layout, Tensor rows, Tensor? queries, Tensor prompts, Tensor weights) =>
            Assert.Contains(
                expected,
                Assert
                    .Throws<ArgumentException>(() => MixedAttention.Attend(rows, queries, prompts, weights, groups, layout, backward))
                    .Message
            );
        if (Sgemm.IsAvailable)
        {
            // libtorch's operations would refuse these inputs with another message, or not at all.
            using var byHead = new AttentionLayout(Heads, 1, 7, 7) { ByHead = true };
            using var masked = new AttentionLayout(Heads, 1, 7, 7) { ByHead = true, Mask = zeros(7, 7) };
            Refused("[6, 45]", byHead, rows[..6], null, prompts, weights);
            Refused("[4, 30]", byHead, rows, null, zeros(4, 2 * Width), weights);
            Refused("only without mask", masked, rows, null, prompts, weights);
        }
        Refused("[6, 45]", layout, rows[..6], null, prompts, weights);
        Refused("projections of their own", last, rows, null, prompts, weights);
        Refused("[3, 15]", last, keys, zeros(3, Width), prompts, weights);
        Refused("[4, 30]", layout, rows, null, zeros(4, 2 * Width), weights);
        Refused("[2]", layout, rows, null, prompts, weights[..2]);
        Refused("take contiguous float32", layout, rows, null, prompts, weights.to(ScalarType.Float64));
        Refused("take contiguous float32", layout, zeros(3 * Width, 7).t(), null, prompts, weights);
    }

    /// <summary>The exception is thrown where it can be caught: one thrown from within autograd's callback would end the process.</summary>
    [SkippableTheory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void An_input_changed_before_the_backward_pass_is_told(bool alongPaths, bool byHead)
    {
        LibTorch.EnsureLoaded();
        if (byHead)
            SgemmTests.Require();
        using var scope = NewDisposeScope();
        using var layout = new AttentionLayout(Heads, 1, 7, 7) { Paths = alongPaths ? new RowPaths(Before) : null, ByHead = byHead };
        using var groups = new PromptGroups([2], CPU);
        using var backward = new BackwardTensors();
        Tensor prompts = ones(2, 2 * Width).requires_grad_(),
            weights = ones(2);
        Tensor output = MixedAttention.Attend(ones(7, 3 * Width), null, prompts, weights, groups, layout, backward);
        weights.add_(1);
        output.sum().backward();
        Assert.ThrowsAny<Exception>(backward.ThrowFailure);
        Assert.Null(prompts.grad);
    }

    private static AttentionLayout LayoutOf(RowPaths paths) => new(Heads, 1, paths.Count, paths.Rows) { Paths = paths };

    /// <returns>A layout of the given form, the rows that each of its queries attends to, and the number of rows.</returns>
    private static (AttentionLayout Layout, long[][] Seen, int Rows) LayoutOf(Form form)
    {
        if (form is Form.AlongPaths or Form.AlongPathsOfSome)
        {
            RowPaths paths = form == Form.AlongPathsOfSome ? new RowPaths(Before, [4, 5, 6, 0]) : new RowPaths(Before);
            return (
                LayoutOf(paths),
                [
                    .. Enumerable
                        .Range(0, paths.Count)
                        .Select(query => paths.Keys[paths.Starts[query]..paths.Starts[query + 1]].Select(key => (long)key).ToArray()),
                ],
                Before.Length
            );
        }
        const int Sequences = 3,
            Keys = 6;
        int queries = form == Form.ByHeadForSome ? 2 : Keys;
        long[][] seen =
        [
            .. Enumerable
                .Range(0, Sequences * queries)
                .Select(query => Enumerable.Range(query / queries * Keys, Keys).Select(key => (long)key).ToArray()),
        ];
        return (new AttentionLayout(Heads, Sequences, queries, Keys) { ByHead = true }, seen, Sequences * Keys);
    }

    /// <summary>Σ_c a_c · softmax(q [K; K_c]ᵀ) [V; V_c], computed for one query, head and candidate at a time.</summary>
    private static Tensor Definition(long[][] seen, Tensor projected, Tensor? queries, Tensor? prompts, Tensor? weights, int[] lengths)
    {
        Tensor[] parts = projected.chunk(queries is null ? 3 : 2, 1);
        Tensor asked = queries ?? parts[0];
        var rows = new List<Tensor>();
        for (int query = 0; query < seen.Length; query++)
        {
            Tensor at = tensor(seen[query]);
            var byHead = new List<Tensor>();
            for (int head = 0; head < Heads; head++)
            {
                Tensor Of(Tensor all, int part = 0) => all.narrow(1, part * Width + head * HeadWidth, HeadWidth);
                Tensor q = Of(asked)[query],
                    k = Of(parts[^2]).index_select(0, at),
                    v = Of(parts[^1]).index_select(0, at);
                Tensor Attended(Tensor keys, Tensor values) => keys.mv(q).softmax(0).unsqueeze(0).matmul(values).squeeze(0);
                Tensor sum = Attended(k, v) * (weights?[0] ?? tensor(1.0));
                for (int c = 0, first = 0; c < lengths.Length; first += lengths[c++])
                {
                    Tensor prompt = prompts!.narrow(0, first, lengths[c]);
                    sum += weights![1 + c] * Attended(cat([k, Of(prompt)], 0), cat([v, Of(prompt, 1)], 0));
                }
                byHead.Add(sum);
            }
            rows.Add(cat(byHead, 0));
        }
        return stack(rows);
    }
}
