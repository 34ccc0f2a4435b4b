using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>
/// The attention of <see cref="MixedAttention"/>, forward and backward, for queries with few keys: one query and head after the other, its scores and softmax in the processor's cache.
/// libtorch's way takes a pass over memory for each of some forty operations, most of them on a few numbers per row. On the calling thread alone, so equal input gives equal bits.
/// </summary>
/// <param name="paths">The keys of each query.</param>
/// <param name="heads">Attention heads.</param>
/// <param name="headWidth">Floats of a head.</param>
/// <param name="lengths">Prompt rows of each candidate; empty: no prompts.</param>
internal sealed unsafe class PathKernel(RowPaths paths, int heads, int headWidth, int[] lengths)
{
    private readonly int _width = heads * headWidth;
    private readonly int _rows = lengths.Sum();

    /// <summary>What the forward pass reads and writes. Matrices of floats, row by row.</summary>
    public ref struct ForwardPass
    {
        /// <summary>[queries, width], scaled, <see cref="QueryStride"/> floats from row to row.</summary>
        public float* Queries;
        public int QueryStride;

        /// <summary>[rows, width] each, <see cref="KeyStride"/> floats from row to row.</summary>
        public float* Keys, Values;
        public int KeyStride;

        /// <summary>[1 + candidates]</summary>
        public float* Weights;

        /// <summary>[heads, queries, prompt rows] Scores of the prompts; exp(s_j) / (Z + Z_c) afterwards.</summary>
        public float* Shares;

        /// <summary>[heads, queries, prompt rows] a_c times the shares, written by both passes. Null in the backward pass: they are not asked for.</summary>
        public float* PromptWeights;

        /// <summary>[heads · keys of all queries] softmax over the tokens, a query's heads one after the other.</summary>
        public float* Attention;

        /// <summary>[queries, heads, candidates] σ_c</summary>
        public float* Kept;

        /// <summary>[queries, heads] a_0 + Σ a_c σ_c</summary>
        public float* KeptInAll;

        /// <summary>[queries, width] attention over the tokens alone, and the same times <see cref="KeptInAll"/>.</summary>
        public float* TokensOnly, Output;
    }

    /// <summary>What the backward pass reads and writes besides.</summary>
    public ref struct BackwardPass
    {
        /// <summary>[queries, width]</summary>
        public float* OutputGradient;

        /// <summary>[heads, queries, prompt rows] D_j = ∂O · V_j; the scores' gradients afterwards.</summary>
        public float* ScoreGradients;

        /// <summary>[queries, width], <see cref="QueryGradientStride"/> floats from row to row; written. Null: gradients to the tokens are not asked for.</summary>
        public float* QueryGradients;
        public int QueryGradientStride;

        /// <summary>[rows, width] each, <see cref="KeyGradientStride"/> floats from row to row; added to.</summary>
        public float* KeyGradients, ValueGradients;
        public int KeyGradientStride;

        /// <summary>[1 + candidates] added to.</summary>
        public double* WeightGradients;
    }

    public void Forward(in ForwardPass pass)
    {
        int candidates = lengths.Length;
        float[] exponents = new float[heads * (paths.Longest + _rows + candidates)];
        for (int query = 0; query < paths.Count; query++)
        {
            int first = paths.Starts[query], count = paths.Starts[query + 1] - first;
            ReadOnlySpan<int> keys = paths.Keys.AsSpan(first, count);
            Span<float> all = exponents.AsSpan(0, heads * (count + _rows + candidates));
            Span<float> tokens = all[..(heads * count)], prompts = all.Slice(tokens.Length, heads * _rows), differences = all[(tokens.Length + prompts.Length)..];
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
                foreach (ref float score in scores) score -= largest;
                // Each candidate has a maximum of its own with the tokens: that of all would let small ones vanish.
                float* prompt = pass.Shares + ((long)head * paths.Count + query) * _rows;
                Span<float> promptScores = prompts.Slice(head * _rows, _rows);
                for (int c = 0, j = 0; c < candidates; c++)
                {
                    int end = j + lengths[c];
                    float larger = largest;
                    for (int i = j; i < end; i++) larger = Math.Max(larger, prompt[i]);
                    for (; j < end; j++) promptScores[j] = prompt[j] - larger;
                    differences[head * candidates + c] = largest - larger;
                }
            }
            TensorPrimitives.Exp(all, all);
            for (int head = 0; head < heads; head++)
            {
                Span<float> attention = tokens.Slice(head * count, count);
                float total = 0;
                foreach (float e in attention) total += e;
                float inverse = 1 / total;
                float* kept = pass.Attention + (long)heads * first + head * count;
                for (int i = 0; i < count; i++) kept[i] = attention[i] * inverse;

                float inAll = candidates == 0 ? 1 : pass.Weights[0];
                long promptAt = ((long)head * paths.Count + query) * _rows;
                ReadOnlySpan<float> exp = prompts.Slice(head * _rows, _rows);
                for (int c = 0, j = 0; c < candidates; c++)
                {
                    int end = j + lengths[c];
                    float ofTokens = total * differences[head * candidates + c], ofPrompt = 0, weight = pass.Weights[1 + c];
                    for (int i = j; i < end; i++) ofPrompt += exp[i];
                    float inverseTotal = 1 / (ofTokens + ofPrompt), share = ofTokens * inverseTotal;
                    for (; j < end; j++) pass.PromptWeights[promptAt + j] = weight * (pass.Shares[promptAt + j] = exp[j] * inverseTotal);
                    pass.Kept[((long)query * heads + head) * candidates + c] = share;
                    inAll += weight * share;
                }
                pass.KeptInAll[(long)query * heads + head] = inAll;

                long at = (long)query * _width + head * headWidth;
                Mix(kept, pass.Values + head * headWidth, pass.KeyStride, keys, inAll, pass.TokensOnly + at, pass.Output + at);
            }
        }
    }

    /// <summary>The gradients, as <see cref="MixedAttentionState"/> says.</summary>
    public void Backward(in ForwardPass pass, in BackwardPass back)
    {
        int candidates = lengths.Length;
        for (int query = 0; query < paths.Count; query++)
        {
            int first = paths.Starts[query], count = paths.Starts[query + 1] - first;
            for (int head = 0; head < heads; head++)
            {
                long at = (long)query * _width + head * headWidth;
                float* gradient = back.OutputGradient + at;
                float own = Dot(gradient, pass.TokensOnly + at); // A
                float inAll = pass.KeptInAll[(long)query * heads + head], subtrahend = own;
                if (candidates > 0)
                {
                    subtrahend = pass.Weights[0] * own;
                    back.WeightGradients[0] += own;
                    long promptAt = ((long)head * paths.Count + query) * _rows;
                    float* d = back.ScoreGradients + promptAt, shares = pass.Shares + promptAt, promptWeights = pass.PromptWeights is null ? null : pass.PromptWeights + promptAt;
                    float* kept = pass.Kept + ((long)query * heads + head) * candidates;
                    for (int c = 0, j = 0; c < candidates; c++)
                    {
                        int end = j + lengths[c];
                        float b = kept[c] * own, weight = pass.Weights[1 + c]; // B_c
                        for (int i = j; i < end; i++) b += shares[i] * d[i];
                        back.WeightGradients[1 + c] += b;
                        subtrahend += weight * kept[c] * b;
                        for (; j < end; j++)
                        {
                            float promptWeight = weight * shares[j];
                            if (promptWeights is not null) promptWeights[j] = promptWeight;
                            d[j] = promptWeight * (d[j] - b);
                        }
                    }
                }
                if (back.QueryGradients is null) continue;

                float* asked = pass.Queries + (long)query * pass.QueryStride + head * headWidth, toQuery = back.QueryGradients + (long)query * back.QueryGradientStride + head * headWidth;
                float* attention = pass.Attention + (long)heads * first + head * count;
                new Span<float>(toQuery, headWidth).Clear();
                for (int i = 0; i < count; i++)
                {
                    int key = paths.Keys[first + i];
                    long keyAt = (long)key * pass.KeyStride + head * headWidth, keyGradientAt = (long)key * back.KeyGradientStride + head * headWidth;
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
        for (; i <= headWidth - Vector<float>.Count; i += Vector<float>.Count) sum += Vector.Load(left + i) * Vector.Load(right + i);
        float result = Vector.Sum(sum);
        for (; i < headWidth; i++) result += left[i] * right[i];
        return result;
    }

    /// <summary>sum += factor · values</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AddScaled(float* sum, float* values, float factor)
    {
        var scale = new Vector<float>(factor);
        int i = 0;
        for (; i <= headWidth - Vector<float>.Count; i += Vector<float>.Count) Vector.Store(Vector.Load(sum + i) + scale * Vector.Load(values + i), sum + i);
        for (; i < headWidth; i++) sum[i] += factor * values[i];
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
            for (int i = 0; i < keys.Length; i++) sum += new Vector<float>(weights[i]) * Vector.Load(values + (long)Unsafe.Add(ref key, i) * stride + d);
            Vector.Store(sum, mean + d);
            Vector.Store(sum * factor, scaled + d);
        }
        for (; d < headWidth; d++)
        {
            float sum = 0;
            for (int i = 0; i < keys.Length; i++) sum += weights[i] * values[(long)keys[i] * stride + d];
            mean[d] = sum;
            scaled[d] = sum * factor;
        }
    }
}
