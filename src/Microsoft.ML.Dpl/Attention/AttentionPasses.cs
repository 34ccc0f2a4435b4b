namespace Microsoft.ML.Dpl.Attention;

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
