using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Attention;

/// <summary>
/// Forward and backward pass of <see cref="MixedAttention"/> for queries with few keys. Queries and heads are processed one at a time, with
/// scores and softmax in the processor's cache; libtorch would make a pass over memory for each of some forty operations, most of them on
/// a few numbers per row. Everything runs on the calling thread, so equal input gives equal bits.
/// </summary>
/// <param name="paths">The keys of each query.</param>
/// <param name="heads">Number of attention heads.</param>
/// <param name="headWidth">Floats per head.</param>
/// <param name="lengths">Number of prompt rows of each candidate; empty without prompts.</param>
internal sealed unsafe class PathKernel(RowPaths paths, int heads, int headWidth, int[] lengths)
{
    private readonly int _width = heads * headWidth;
    private readonly PromptMixture _mixture = new(lengths);

    public void Forward(in ForwardPass pass)
    {
        int rows = _mixture.Rows,
            exponents = _mixture.Exponents;
        float[] scratch = new float[heads * (paths.Longest + exponents)];
        for (int query = 0; query < paths.Count; query++)
        {
            int first = paths.Starts[query],
                count = paths.Starts[query + 1] - first;
            ReadOnlySpan<int> keys = paths.Keys.AsSpan(first, count);
            Span<float> all = scratch.AsSpan(0, heads * (count + exponents)),
                tokens = all[..(heads * count)],
                prompts = all[tokens.Length..];
            for (int head = 0; head < heads; head++)
            {
                float* asked = pass.Queries + (long)query * pass.QueryStride + head * headWidth;
                Span<float> scores = tokens.Slice(head * count, count);
                float largest = float.NegativeInfinity;
                for (int i = 0; i < keys.Length; i++)
                {
                    scores[i] = Dot(asked, pass.Keys + (long)keys[i] * pass.KeyStride + head * headWidth);
                    largest = Math.Max(largest, scores[i]);
                }
                foreach (ref float score in scores)
                    score -= largest;
                _mixture.Subtract(
                    largest,
                    pass.Shares + ((long)head * paths.Count + query) * rows,
                    prompts.Slice(head * exponents, exponents)
                );
            }
            TensorPrimitives.Exp(all, all);
            for (int head = 0; head < heads; head++)
            {
                Span<float> attention = tokens.Slice(head * count, count);
                float total = 0;
                foreach (float e in attention)
                    total += e;
                float inverse = 1 / total;
                float* kept = pass.Attention + (long)heads * first + head * count;
                for (int i = 0; i < count; i++)
                    kept[i] = attention[i] * inverse;

                long unit = (long)query * heads + head,
                    promptAt = ((long)head * paths.Count + query) * rows;
                float inAll = _mixture.Mix(
                    total,
                    prompts.Slice(head * exponents, exponents),
                    pass.Weights,
                    pass.Shares + promptAt,
                    pass.PromptWeights + promptAt,
                    pass.Kept + unit * _mixture.Candidates
                );
                pass.KeptInAll[unit] = inAll;

                long at = (long)query * _width + head * headWidth;
                Mix(kept, pass.Values + head * headWidth, pass.KeyStride, keys, inAll, pass.TokensOnly + at, pass.Output + at);
            }
        }
    }

    /// <summary>Computes the gradients given in <see cref="MixedAttentionState"/>.</summary>
    public void Backward(in ForwardPass pass, in BackwardPass back)
    {
        for (int query = 0; query < paths.Count; query++)
        {
            int first = paths.Starts[query],
                count = paths.Starts[query + 1] - first;
            for (int head = 0; head < heads; head++)
            {
                long at = (long)query * _width + head * headWidth;
                float* gradient = back.OutputGradient + at;
                float own = Dot(gradient, pass.TokensOnly + at); // A
                long unit = (long)query * heads + head,
                    promptAt = ((long)head * paths.Count + query) * _mixture.Rows;
                float inAll = pass.KeptInAll[unit];
                float subtrahend = _mixture.Backward(
                    own,
                    pass.Weights,
                    pass.Shares + promptAt,
                    pass.Kept + unit * _mixture.Candidates,
                    back.ScoreGradients + promptAt,
                    pass.PromptWeights is null ? null : pass.PromptWeights + promptAt,
                    back.WeightGradients
                );
                if (back.QueryGradients is null)
                    continue;

                float* asked = pass.Queries + (long)query * pass.QueryStride + head * headWidth,
                    toQuery = back.QueryGradients + (long)query * back.QueryGradientStride + head * headWidth;
                float* attention = pass.Attention + (long)heads * first + head * count;
                new Span<float>(toQuery, headWidth).Clear();
                for (int i = 0; i < count; i++)
                {
                    int key = paths.Keys[first + i];
                    long keyAt = (long)key * pass.KeyStride + head * headWidth,
                        keyGradientAt = (long)key * back.KeyGradientStride + head * headWidth;
                    float score = attention[i] * (inAll * Dot(gradient, pass.Values + keyAt) - subtrahend);
                    AddScaled(back.ValueGradients + keyGradientAt, gradient, attention[i] * inAll);
                    AddScaled(back.KeyGradients + keyGradientAt, asked, score);
                    AddScaled(toQuery, pass.Keys + keyAt, score);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Dot(float* left, float* right)
    {
        Vector<float> sum = Vector<float>.Zero;
        int i = 0;
        for (; i <= headWidth - Vector<float>.Count; i += Vector<float>.Count)
            sum += Vector.Load(left + i) * Vector.Load(right + i);
        float result = Vector.Sum(sum);
        for (; i < headWidth; i++)
            result += left[i] * right[i];
        return result;
    }

    /// <summary>sum += factor · values</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddScaled(float* sum, float* values, float factor)
    {
        var scale = new Vector<float>(factor);
        int i = 0;
        for (; i <= headWidth - Vector<float>.Count; i += Vector<float>.Count)
            Vector.Store(Vector.Load(sum + i) + scale * Vector.Load(values + i), sum + i);
        for (; i < headWidth; i++)
            sum[i] += factor * values[i];
    }

    /// <summary>mean = Σ weights · values of the keys, scaled = factor · mean</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Mix(float* weights, float* values, int stride, ReadOnlySpan<int> keys, float factor, float* mean, float* scaled)
    {
        ref int key = ref MemoryMarshal.GetReference(keys);
        int d = 0;
        for (; d <= headWidth - Vector<float>.Count; d += Vector<float>.Count)
        {
            Vector<float> sum = Vector<float>.Zero;
            for (int i = 0; i < keys.Length; i++)
                sum += new Vector<float>(weights[i]) * Vector.Load(values + (long)Unsafe.Add(ref key, i) * stride + d);
            Vector.Store(sum, mean + d);
            Vector.Store(sum * factor, scaled + d);
        }
        for (; d < headWidth; d++)
        {
            float sum = 0;
            for (int i = 0; i < keys.Length; i++)
                sum += weights[i] * values[(long)keys[i] * stride + d];
            mean[d] = sum;
            scaled[d] = sum * factor;
        }
    }
}
