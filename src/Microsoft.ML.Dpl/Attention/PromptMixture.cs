namespace Microsoft.ML.Dpl.Attention;

/// <summary>What <see cref="MixedAttention"/> does with the prompts of one query and head, once their scores and the tokens' softmax are
/// there.</summary>
/// <param name="lengths">Prompt rows of each candidate; empty: no prompts.</param>
internal sealed unsafe class PromptMixture(int[] lengths)
{
    /// <summary>Prompt rows of all candidates.</summary>
    public int Rows { get; } = lengths.Sum();

    public int Candidates => lengths.Length;

    /// <summary>Numbers whose exponential is taken for one query and head.</summary>
    public int Exponents => Rows + Candidates;

    /// <summary>Writes what to take the exponentials of.</summary>
    /// <param name="largest">Largest score of the tokens.</param>
    /// <param name="scores">[rows]</param>
    /// <param name="exponents">[<see cref="Exponents"/>]</param>
    public void Subtract(float largest, float* scores, Span<float> exponents)
    {
        // Each candidate has a maximum of its own with the tokens: that of all would let small ones vanish.
        for (int c = 0, j = 0; c < lengths.Length; c++)
        {
            int end = j + lengths[c];
            float larger = largest;
            for (int i = j; i < end; i++)
                larger = Math.Max(larger, scores[i]);
            for (; j < end; j++)
                exponents[j] = scores[j] - larger;
            exponents[Rows + c] = largest - larger;
        }
    }

    /// <param name="total">Σ exp(score − largest) over the tokens.</param>
    /// <param name="exponentials">[<see cref="Exponents"/>]</param>
    /// <param name="weights">[1 + candidates]</param>
    /// <param name="shares">[rows] exp(s_j) / (Z + Z_c), written.</param>
    /// <param name="promptWeights">[rows] a_c times the shares, written.</param>
    /// <param name="kept">[candidates] σ_c, written.</param>
    /// <returns>a_0 + Σ a_c σ_c: what the attention over the tokens alone is multiplied by.</returns>
    public float Mix(float total, ReadOnlySpan<float> exponentials, float* weights, float* shares, float* promptWeights, float* kept)
    {
        if (lengths.Length == 0)
            return 1;
        float inAll = weights[0];
        for (int c = 0, j = 0; c < lengths.Length; c++)
        {
            int end = j + lengths[c];
            float ofTokens = total * exponentials[Rows + c],
                ofPrompt = 0,
                weight = weights[1 + c];
            for (int i = j; i < end; i++)
                ofPrompt += exponentials[i];
            float inverseTotal = 1 / (ofTokens + ofPrompt);
            for (; j < end; j++)
                promptWeights[j] = weight * (shares[j] = exponentials[j] * inverseTotal);
            kept[c] = ofTokens * inverseTotal;
            inAll += weight * kept[c];
        }
        return inAll;
    }

    /// <summary>The gradients, as <see cref="MixedAttentionState"/> says.</summary>
    /// <param name="own">A = ∂O · attention over the tokens.</param>
    /// <param name="weights">[1 + candidates]</param>
    /// <param name="shares">[rows]</param>
    /// <param name="kept">[candidates]</param>
    /// <param name="scores">[rows] D_j = ∂O · V_j; the scores' gradients afterwards.</param>
    /// <param name="promptWeights">[rows] a_c times the shares, written; null: not asked for.</param>
    /// <param name="weightGradients">[1 + candidates] added to.</param>
    /// <returns>a_0 A + Σ a_c σ_c B_c: what is subtracted in the tokens' gradients.</returns>
    public float Backward(
        float own,
        float* weights,
        float* shares,
        float* kept,
        float* scores,
        float* promptWeights,
        double* weightGradients
    )
    {
        if (lengths.Length == 0)
            return own;
        float subtrahend = weights[0] * own;
        weightGradients[0] += own;
        for (int c = 0, j = 0; c < lengths.Length; c++)
        {
            int end = j + lengths[c];
            float b = kept[c] * own,
                weight = weights[1 + c]; // B_c
            for (int i = j; i < end; i++)
                b += shares[i] * scores[i];
            weightGradients[1 + c] += b;
            subtrahend += weight * kept[c] * b;
            for (; j < end; j++)
            {
                float promptWeight = weight * shares[j];
                if (promptWeights is not null)
                    promptWeights[j] = promptWeight;
                scores[j] = promptWeight * (scores[j] - b);
            }
        }
        return subtrahend;
    }
}

/// <summary>What an attention's forward pass reads and writes. Matrices of floats, row by row; "units" are queries × heads in the kernel's
/// own order.</summary>
internal unsafe ref struct ForwardPass
{
    /// <summary>[queries, width], scaled, <see cref="QueryStride"/> floats from row to row.</summary>
    public float* Queries;
    public int QueryStride;

    /// <summary>[rows, width] each, <see cref="KeyStride"/> floats from row to row.</summary>
    public float* Keys,
        Values;
    public int KeyStride;

    /// <summary>[prompt rows, width] each, twice the width from row to row. Only <see cref="HeadKernel"/> reads them.</summary>
    public float* PromptKeys,
        PromptValues;

    /// <summary>[1 + candidates]</summary>
    public float* Weights;

    /// <summary>[units, prompt rows] exp(s_j) / (Z + Z_c). <see cref="PathKernel"/>, whose units are heads × queries here, finds the scores
    /// there.</summary>
    public float* Shares;

    /// <summary>As <see cref="Shares"/>: a_c times the shares, written by both passes of <see cref="PathKernel"/>. Null in its backward
    /// pass: they are not asked for.</summary>
    public float* PromptWeights;

    /// <summary>softmax over the tokens, in the kernel's own order; of <see cref="HeadKernel"/> still to be divided by
    /// <see cref="Totals"/>.</summary>
    public float* Attention;

    /// <summary>Of <see cref="HeadKernel"/>: [units] Σ exp(score − largest) over the tokens.</summary>
    public float* Totals;

    /// <summary>[units, candidates] σ_c</summary>
    public float* Kept;

    /// <summary>[units] a_0 + Σ a_c σ_c</summary>
    public float* KeptInAll;

    /// <summary>[queries, width] attention over the tokens alone, and what comes of it: with <see cref="PathKernel"/> the same times
    /// <see cref="KeptInAll"/>, to which the prompts' part is still to be added.</summary>
    public float* TokensOnly,
        Output;

    /// <summary>Of <see cref="HeadKernel"/>: as many floats as it says.</summary>
    public float* Scratch;
}

/// <summary>What an attention's backward pass reads and writes besides.</summary>
internal unsafe ref struct BackwardPass
{
    /// <summary>[queries, width]</summary>
    public float* OutputGradient;

    /// <summary>Of <see cref="PathKernel"/>, [heads, queries, prompt rows]: D_j = ∂O · V_j; the scores' gradients afterwards.</summary>
    public float* ScoreGradients;

    /// <summary>[queries, width], <see cref="QueryGradientStride"/> floats from row to row; written. Null: gradients to the tokens are not
    /// asked for.</summary>
    public float* QueryGradients;
    public int QueryGradientStride;

    /// <summary>[rows, width] each, <see cref="KeyGradientStride"/> floats from row to row; <see cref="PathKernel"/> adds to them,
    /// <see cref="HeadKernel"/> writes them.</summary>
    public float* KeyGradients,
        ValueGradients;
    public int KeyGradientStride;

    /// <summary>Of <see cref="HeadKernel"/>: [prompt rows, width] each, twice the width from row to row; added to. Null: not asked
    /// for.</summary>
    public float* PromptKeyGradients,
        PromptValueGradients;

    /// <summary>[1 + candidates] added to.</summary>
    public double* WeightGradients;
}
