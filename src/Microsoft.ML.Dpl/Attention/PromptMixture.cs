namespace Microsoft.ML.Dpl.Attention;

/// <summary>The part of <see cref="MixedAttention"/> that mixes the prompts of one query and head, given their scores and the tokens'
/// softmax.</summary>
/// <param name="lengths">Number of prompt rows of each candidate; empty without prompts.</param>
internal sealed unsafe class PromptMixture(int[] lengths)
{
    /// <summary>Number of prompt rows of all candidates together.</summary>
    public int Rows { get; } = lengths.Sum();

    public int Candidates => lengths.Length;

    /// <summary>Number of exponentials taken for one query and head.</summary>
    public int Exponents => Rows + Candidates;

    /// <summary>Writes the arguments of the exponentials: the scores minus their maximum.</summary>
    /// <param name="largest">Largest score of the tokens.</param>
    /// <param name="scores">[rows]</param>
    /// <param name="exponents">[<see cref="Exponents"/>]</param>
    public void Subtract(float largest, float* scores, Span<float> exponents)
    {
        // Each candidate subtracts its own maximum with the tokens: with one common maximum, small candidates would underflow to 0.
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
    /// <param name="promptWeights">[rows] a_c times <paramref name="shares"/>, written.</param>
    /// <param name="kept">[candidates] σ_c, written.</param>
    /// <returns>a_0 + Σ a_c σ_c, the factor of the attention over the tokens alone.</returns>
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

    /// <summary>Computes the gradients given in <see cref="MixedAttentionState"/>.</summary>
    /// <param name="own">A = ∂O · attention over the tokens.</param>
    /// <param name="weights">[1 + candidates]</param>
    /// <param name="shares">[rows]</param>
    /// <param name="kept">[candidates]</param>
    /// <param name="scores">[rows] D_j = ∂O · V_j on entry; overwritten with the gradients of the scores.</param>
    /// <param name="promptWeights">[rows] a_c times <paramref name="shares"/>, written; null if not needed.</param>
    /// <param name="weightGradients">[1 + candidates] accumulated into.</param>
    /// <returns>a_0 A + Σ a_c σ_c B_c, which is subtracted in the gradients of the token scores.</returns>
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

/// <summary>Inputs and outputs of an attention kernel's forward pass. Matrices are row-major floats; a "unit" is one query of one head, in
/// the order of the kernel.</summary>
internal unsafe ref struct ForwardPass
{
    /// <summary>[queries, width], scaled; rows are <see cref="QueryStride"/> floats apart.</summary>
    public float* Queries;
    public int QueryStride;

    /// <summary>[rows, width] each; rows are <see cref="KeyStride"/> floats apart.</summary>
    public float* Keys,
        Values;
    public int KeyStride;

    /// <summary>[prompt rows, width] each; rows are twice the width apart. Read by <see cref="HeadKernel"/> only.</summary>
    public float* PromptKeys,
        PromptValues;

    /// <summary>[1 + candidates]</summary>
    public float* Weights;

    /// <summary>[units, prompt rows] exp(s_j) / (Z + Z_c). <see cref="PathKernel"/>, whose units here are ordered [heads, queries], expects
    /// the scores s_j in it and overwrites them.</summary>
    public float* Shares;

    /// <summary>[units, prompt rows] a_c times <see cref="Shares"/>, written by both passes of <see cref="PathKernel"/>; null in the
    /// backward pass if not needed.</summary>
    public float* PromptWeights;

    /// <summary>Softmax over the tokens, in the order of the kernel; that of <see cref="HeadKernel"/> is not yet divided by
    /// <see cref="Totals"/>.</summary>
    public float* Attention;

    /// <summary>[units] Σ exp(score − largest) over the tokens; <see cref="HeadKernel"/> only.</summary>
    public float* Totals;

    /// <summary>[units, candidates] σ_c</summary>
    public float* Kept;

    /// <summary>[units] a_0 + Σ a_c σ_c</summary>
    public float* KeptInAll;

    /// <summary>[queries, width] attention over the tokens alone, and the result. <see cref="PathKernel"/> writes the former times
    /// <see cref="KeptInAll"/> to the latter, and the caller adds the prompts' part.</summary>
    public float* TokensOnly,
        Output;

    /// <summary>Scratch buffer of the size that <see cref="HeadKernel"/> reports; <see cref="HeadKernel"/> only.</summary>
    public float* Scratch;
}

/// <summary>Further inputs and outputs of an attention kernel's backward pass.</summary>
internal unsafe ref struct BackwardPass
{
    /// <summary>[queries, width]</summary>
    public float* OutputGradient;

    /// <summary>
    /// [heads, queries, prompt rows] D_j = ∂O · V_j on entry, overwritten with the gradients of the scores; <see cref="PathKernel"/> only.
    /// </summary>
    public float* ScoreGradients;

    /// <summary>[queries, width], rows <see cref="QueryGradientStride"/> floats apart, written. Null if no gradients to the tokens are
    /// needed.</summary>
    public float* QueryGradients;
    public int QueryGradientStride;

    /// <summary>[rows, width] each; rows are <see cref="KeyGradientStride"/> floats apart. <see cref="PathKernel"/> accumulates into them,
    /// <see cref="HeadKernel"/> overwrites them.</summary>
    public float* KeyGradients,
        ValueGradients;
    public int KeyGradientStride;

    /// <summary>[prompt rows, width] each, rows twice the width apart, accumulated into; <see cref="HeadKernel"/> only. Null if not
    /// needed.</summary>
    public float* PromptKeyGradients,
        PromptValueGradients;

    /// <summary>[1 + candidates] accumulated into.</summary>
    public double* WeightGradients;
}
