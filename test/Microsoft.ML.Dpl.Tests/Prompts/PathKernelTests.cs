using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Prompts;

/// <summary>
/// Attention along rows alone, against its definition in float64. The layouts have no mask: what goes along paths is told from libtorch's operations, under which every row would see every other.
/// </summary>
public class PathKernelTests
{
    private const int Heads = 3, HeadWidth = 5, Width = Heads * HeadWidth;

    // 0 1 2, then 3 and 4 behind 2, 5 behind 3; 6 begins anew.
    private static readonly int[] Before = [-1, 0, 1, 2, 2, 3, -1];

    [Theory]
    [InlineData(false, new int[0], 1)]
    [InlineData(false, new[] { 1 }, 1)]
    [InlineData(false, new[] { 2, 1, 3 }, 1)]
    [InlineData(false, new[] { 2, 1, 3 }, 40)] // scores hundreds above the tokens', and below
    [InlineData(true, new int[0], 1)]
    [InlineData(true, new[] { 2, 1, 3 }, 1)]
    [InlineData(true, new[] { 4 }, 40)]
    [InlineData(true, new[] { 2, 1 }, 1, false, true)]
    [InlineData(true, new[] { 2, 1 }, 1, true, false)]
    [InlineData(true, new[] { 2, 1 }, 1, false, false)]
    public void Output_and_gradients_are_those_of_the_definition(bool separateQueries, int[] lengths, double promptScale, bool ofRows = true, bool ofQueries = true)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using Generator generator = Seeds.Generator(3, "kernel");
        RowPaths paths = separateQueries ? new RowPaths(Before, [4, 5, 6, 0]) : new RowPaths(Before);
        using AttentionLayout layout = LayoutOf(paths);
        using PromptGroups? groups = lengths.Length == 0 ? null : new PromptGroups(lengths, CPU);
        Parameter Input(bool needed, double scale, params long[] shape) => new(randn(shape, generator: generator) * scale, needed);
        Parameter projected = Input(ofRows, 1, Before.Length, (separateQueries ? 2 : 3) * Width);
        Parameter? queries = separateQueries ? Input(ofQueries, 1, paths.Count, Width) : null, prompts = groups is null ? null : Input(true, promptScale, groups.Rows, 2 * Width);
        Parameter? weights = groups is null ? null : new Parameter(rand([1 + lengths.Length], generator: generator));
        Parameter[] parameters = [.. new[] { projected, queries, prompts, weights }.OfType<Parameter>()];
        Tensor toOutput = randn([Width, paths.Count], generator: generator);
        // Transposed: the gradient that comes back is not contiguous.
        Tensor[] Gradients(Tensor output, params Tensor[] of)
        {
            (output.t() * toOutput).sum().backward();
            return [.. of.Where(tensor => tensor.requires_grad).Select(tensor => tensor.grad!)];
        }

        using var backward = new BackwardTensors();
        Tensor actual = MixedAttention.Attend(projected, queries, prompts, weights, groups, layout, backward);
        Tensor[] gradients = actual.requires_grad ? Gradients(actual, parameters) : [];
        backward.ThrowFailure();

        Tensor[] exact = [.. parameters.Select(parameter => parameter.detach().to(ScalarType.Float64).requires_grad_(parameter.requires_grad))];
        Tensor expected = Definition(paths, exact[0], queries is null ? null : exact[1], groups is null ? null : exact[^2], groups is null ? null : exact[^1], lengths);
        Close.Relative(expected.detach().to(ScalarType.Float32), actual.detach(), 1e-4, "output");
        Tensor[] expectedGradients = Gradients(expected, exact);
        Assert.Equal(expectedGradients.Length, gradients.Length);
        for (int i = 0; i < gradients.Length; i++) Close.Relative(expectedGradients[i].to(ScalarType.Float32), gradients[i], 1e-3, $"gradient {i}");
    }

    /// <summary>So that a step is refused, as with libtorch's operations.</summary>
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
        bool[] Finite(Tensor rows, Tensor prompts) => [.. MixedAttention.Attend(rows, null, prompts, ones(3) / 3, groups, layout, backward).isfinite().all(1).data<bool>()];
        Tensor rows = randn([Before.Length, 3 * Width], generator: generator), prompts = randn([3, 2 * Width], generator: generator);
        Assert.DoesNotContain(false, Finite(rows, prompts));
        // Its query, key and value: the row itself and those behind it.
        Tensor spoilt = rows.clone();
        spoilt[3].fill_(value);
        Assert.Equal([true, true, true, false, true, false, true], Finite(spoilt, prompts));
        prompts[1].fill_(value);
        Assert.DoesNotContain(true, Finite(rows, prompts));
    }

    [Fact]
    public void Tensors_that_do_not_fit_are_refused()
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using AttentionLayout layout = LayoutOf(new RowPaths(Before)), last = LayoutOf(new RowPaths(Before, [4, 6]));
        using var groups = new PromptGroups([2, 1], CPU);
        using var backward = new BackwardTensors();
        Tensor rows = zeros(7, 3 * Width), keys = zeros(7, 2 * Width), prompts = zeros(3, 2 * Width), weights = ones(3);
        void Refused(string expected, AttentionLayout layout, Tensor rows, Tensor? queries, Tensor prompts, Tensor weights)
            => Assert.Contains(expected, Assert.Throws<ArgumentException>(() => MixedAttention.Attend(rows, queries, prompts, weights, groups, layout, backward)).Message);
        Refused("[6, 45]", layout, rows[..6], null, prompts, weights);
        Refused("projections of their own", last, rows, null, prompts, weights);
        Refused("[3, 15]", last, keys, zeros(3, Width), prompts, weights);
        Refused("[4, 30]", layout, rows, null, zeros(4, 2 * Width), weights);
        Refused("[2]", layout, rows, null, prompts, weights[..2]);
        Refused("takes contiguous float32", layout, rows, null, prompts, weights.to(ScalarType.Float64));
        Refused("takes contiguous float32", layout, zeros(3 * Width, 7).t(), null, prompts, weights);
    }

    /// <summary>Thrown where it can be caught: not out of autograd's call, which would end the process.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_input_changed_before_the_backward_pass_is_told(bool alongPaths)
    {
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var layout = new AttentionLayout(Heads, 1, 7, 7) { Paths = alongPaths ? new RowPaths(Before) : null };
        using var groups = new PromptGroups([2], CPU);
        using var backward = new BackwardTensors();
        Tensor prompts = ones(2, 2 * Width).requires_grad_(), weights = ones(2);
        Tensor output = MixedAttention.Attend(ones(7, 3 * Width), null, prompts, weights, groups, layout, backward);
        weights.add_(1);
        output.sum().backward();
        Assert.ThrowsAny<Exception>(backward.ThrowFailure);
        Assert.Null(prompts.grad);
    }

    private static AttentionLayout LayoutOf(RowPaths paths) => new(Heads, 1, paths.Count, paths.Rows) { Paths = paths };

    /// <summary>Σ_c a_c · softmax(q [K; K_c]ᵀ) [V; V_c], one query, head and candidate after the other.</summary>
    private static Tensor Definition(RowPaths paths, Tensor projected, Tensor? queries, Tensor? prompts, Tensor? weights, int[] lengths)
    {
        Tensor[] parts = projected.chunk(queries is null ? 3 : 2, 1);
        Tensor asked = queries ?? parts[0];
        var rows = new List<Tensor>();
        for (int query = 0; query < paths.Count; query++)
        {
            Tensor at = tensor(paths.Keys[paths.Starts[query]..paths.Starts[query + 1]].Select(key => (long)key).ToArray());
            var byHead = new List<Tensor>();
            for (int head = 0; head < Heads; head++)
            {
                Tensor Of(Tensor all, int part = 0) => all.narrow(1, part * Width + head * HeadWidth, HeadWidth);
                Tensor q = Of(asked)[query], k = Of(parts[^2]).index_select(0, at), v = Of(parts[^1]).index_select(0, at);
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
