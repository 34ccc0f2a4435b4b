using System.Numerics.Tensors;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Forward and backward pass of <see cref="MixedAttention"/> where every query of a sequence attends to all its keys. Sequences and heads
/// are processed one at a time, so that their scores stay in the processor's cache through softmax, mixture and products; queries, keys
/// and values are read in place from the projection. Apart from <see cref="Sgemm"/>, everything runs on the calling thread; equal input
/// gives equal bits.
/// </summary>
/// <param name="sequences">Number of sequences (images).</param>
/// <param name="queries">Queries per sequence.</param>
/// <param name="keys">Keys per sequence.</param>
/// <param name="heads">Number of attention heads.</param>
/// <param name="headWidth">Floats per head.</param>
/// <param name="lengths">Number of prompt rows of each candidate; empty without prompts.</param>
internal sealed unsafe class HeadKernel(int sequences, int queries, int keys, int heads, int headWidth, int[] lengths)
{
    private readonly PromptMixture _mixture = new(lengths);
    private readonly int _width = heads * headWidth;

    // Each row of scores begins on a cache line.
    private readonly int _stride = (keys + 15) / 16 * 16;

    /// <summary>Floats of <see cref="ForwardPass.Attention"/>: exp(score − largest) for [sequences, heads, queries, keys], rows padded.
    /// The division by <see cref="ForwardPass.Totals"/> is done later, on the shorter rows [headWidth].</summary>
    public long AttentionSize => (long)sequences * heads * queries * _stride;

    /// <summary>Floats of <see cref="ForwardPass.Scratch"/> that the forward pass needs.</summary>
    public long ForwardScratch => (long)queries * (_mixture.Exponents + _mixture.Rows);

    /// <summary>Floats of <see cref="ForwardPass.Totals"/>.</summary>
    public long TotalsSize => (long)sequences * heads * queries;

    /// <summary>Floats of <see cref="ForwardPass.Scratch"/> that the backward pass needs.</summary>
    public long BackwardScratch => (long)queries * (_stride + headWidth + 1 + 2 * _mixture.Rows);

    public void Forward(in ForwardPass pass)
    {
        int rows = _mixture.Rows,
            exponents = _mixture.Exponents;
        float* promptWeights = pass.Scratch,
            exponentials = promptWeights + queries * rows;
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            for (int head = 0; head < heads; head++)
            {
                long unit = ((long)sequence * heads + head) * queries,
                    at = (long)sequence * queries * _width + head * headWidth;
                var q = new Sgemm.Matrix(pass.Queries + (long)sequence * queries * pass.QueryStride + head * headWidth, pass.QueryStride);
                Sgemm.Matrix k = Keys(pass.Keys, pass.KeyStride, sequence, head),
                    v = Keys(pass.Values, pass.KeyStride, sequence, head);
                var attention = new Sgemm.Matrix(pass.Attention + unit * _stride, _stride);
                float* shares = pass.Shares + unit * rows,
                    totals = pass.Totals + unit;
                Sgemm.Multiply(q, k.T, attention, queries, keys, headWidth);
                if (rows > 0)
                    Sgemm.Multiply(q, Prompts(pass.PromptKeys, head).T, new Sgemm.Matrix(shares, rows), queries, rows, headWidth);
                for (int i = 0; i < queries; i++)
                {
                    var scores = new Span<float>(attention.Start + (long)i * _stride, keys);
                    float largest = TensorPrimitives.Max(scores);
                    TensorPrimitives.Subtract(scores, largest, scores);
                    TensorPrimitives.Exp(scores, scores);
                    totals[i] = TensorPrimitives.Sum(scores);
                    _mixture.Subtract(largest, shares + i * rows, new Span<float>(exponentials + i * exponents, exponents));
                }
                var all = new Span<float>(exponentials, queries * exponents);
                TensorPrimitives.Exp(all, all);

                var tokensOnly = new Sgemm.Matrix(pass.TokensOnly + at, _width);
                var output = new Sgemm.Matrix(pass.Output + at, _width);
                for (int i = 0; i < queries; i++)
                    pass.KeptInAll[unit + i] = _mixture.Mix(
                        totals[i],
                        all.Slice(i * exponents, exponents),
                        pass.Weights,
                        shares + i * rows,
                        promptWeights + i * rows,
                        pass.Kept + (unit + i) * _mixture.Candidates
                    );
                Sgemm.Multiply(attention, v, tokensOnly, queries, headWidth, keys);
                if (rows > 0)
                    Sgemm.Multiply(
                        new Sgemm.Matrix(promptWeights, rows),
                        Prompts(pass.PromptValues, head),
                        output,
                        queries,
                        headWidth,
                        rows
                    );
                for (int i = 0; i < queries; i++)
                {
                    Span<float> from = Row(tokensOnly, i),
                        to = Row(output, i);
                    TensorPrimitives.Multiply(from, 1 / totals[i], from);
                    if (rows > 0)
                        TensorPrimitives.MultiplyAdd(from, pass.KeptInAll[unit + i], to, to);
                    else
                        from.CopyTo(to);
                }
            }
        }
    }

    /// <summary>Computes the gradients given in <see cref="MixedAttentionState"/>.</summary>
    public void Backward(in ForwardPass pass, in BackwardPass back)
    {
        int rows = _mixture.Rows;
        float* scoreGradients = pass.Scratch,
            scaled = scoreGradients + queries * _stride,
            promptScores = scaled + queries * headWidth;
        float* promptWeights = promptScores + queries * rows,
            subtrahends = promptWeights + queries * rows;
        var d = new Sgemm.Matrix(promptScores, rows);
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            for (int head = 0; head < heads; head++)
            {
                long unit = ((long)sequence * heads + head) * queries,
                    at = (long)sequence * queries * _width + head * headWidth;
                var gradient = new Sgemm.Matrix(back.OutputGradient + at, _width);
                var tokensOnly = new Sgemm.Matrix(pass.TokensOnly + at, _width);
                var q = new Sgemm.Matrix(pass.Queries + (long)sequence * queries * pass.QueryStride + head * headWidth, pass.QueryStride);
                if (rows > 0)
                    Sgemm.Multiply(gradient, Prompts(pass.PromptValues, head).T, d, queries, rows, headWidth);
                for (int i = 0; i < queries; i++)
                {
                    float own = TensorPrimitives.Dot(Row(gradient, i), Row(tokensOnly, i));
                    subtrahends[i] = _mixture.Backward(
                        own,
                        pass.Weights,
                        pass.Shares + (unit + i) * rows,
                        pass.Kept + (unit + i) * _mixture.Candidates,
                        promptScores + i * rows,
                        promptWeights + i * rows,
                        back.WeightGradients
                    );
                }
                if (rows > 0 && back.PromptKeyGradients is not null)
                {
                    Sgemm.Multiply(d.T, q, Prompts(back.PromptKeyGradients, head), rows, headWidth, queries, beta: 1);
                    Sgemm.Multiply(
                        new Sgemm.Matrix(promptWeights, rows).T,
                        gradient,
                        Prompts(back.PromptValueGradients, head),
                        rows,
                        headWidth,
                        queries,
                        beta: 1
                    );
                }
                if (back.QueryGradients is null)
                    continue;

                Sgemm.Matrix k = Keys(pass.Keys, pass.KeyStride, sequence, head),
                    v = Keys(pass.Values, pass.KeyStride, sequence, head);
                Sgemm.Matrix attention = new(pass.Attention + unit * _stride, _stride),
                    toScores = new(scoreGradients, _stride),
                    toOutput = new(scaled, headWidth);
                for (int i = 0; i < queries; i++)
                    TensorPrimitives.Multiply(Row(gradient, i), pass.KeptInAll[unit + i] / pass.Totals[unit + i], Row(toOutput, i));
                Sgemm.Multiply(toOutput, v.T, toScores, queries, keys, headWidth);
                for (int i = 0; i < queries; i++)
                {
                    var scores = new Span<float>(scoreGradients + (long)i * _stride, keys);
                    TensorPrimitives.AddMultiply(
                        scores,
                        -subtrahends[i] / pass.Totals[unit + i],
                        new ReadOnlySpan<float>(attention.Start + (long)i * _stride, keys),
                        scores
                    );
                }
                var toQueries = new Sgemm.Matrix(
                    back.QueryGradients + (long)sequence * queries * back.QueryGradientStride + head * headWidth,
                    back.QueryGradientStride
                );
                Sgemm.Multiply(toScores, k, toQueries, queries, headWidth, keys);
                if (rows > 0)
                    Sgemm.Multiply(d, Prompts(pass.PromptKeys, head), toQueries, queries, headWidth, rows, beta: 1);
                Sgemm.Multiply(toScores.T, q, Keys(back.KeyGradients, back.KeyGradientStride, sequence, head), keys, headWidth, queries);
                Sgemm.Multiply(
                    attention.T,
                    toOutput,
                    Keys(back.ValueGradients, back.KeyGradientStride, sequence, head),
                    keys,
                    headWidth,
                    queries
                );
            }
        }
    }

    private Sgemm.Matrix Keys(float* all, int stride, int sequence, int head) =>
        new(all + (long)sequence * keys * stride + head * headWidth, stride);

    private Sgemm.Matrix Prompts(float* all, int head) => new(all + head * headWidth, 2 * _width);

    private Span<float> Row(Sgemm.Matrix matrix, int row) => new(matrix.Start + (long)row * matrix.Stride, headWidth);
}
