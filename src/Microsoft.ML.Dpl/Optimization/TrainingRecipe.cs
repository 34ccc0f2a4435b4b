namespace Microsoft.ML.Dpl;

/// <summary>How prompts are initialised and optimised.</summary>
public enum TrainingRecipe
{
    /// <summary>
    /// AdamW (Loshchilov, Hutter, ICLR 2019, arXiv 1711.05101) with a linear warm-up over the first tenth of the steps and a cosine to 0,
    /// and a temperature that is learned along with the prompts: it starts where the loss of zero-shot CLIP on the training images is
    /// lowest, so that a confidently wrong CLIP does not push all classes together, and becomes part of the model's logit scale.
    /// </summary>
    Robust,

    /// <summary>The authors' SGD at CLIP's own logit scale: one epoch of warm-up, then a cosine that changes once per epoch.</summary>
    Paper,
}
