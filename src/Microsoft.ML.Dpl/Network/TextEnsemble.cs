using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// The class features of several templates, averaged. Templates are computed one at a time, so that 80 templates take no more memory than
/// one.
/// </summary>
internal static class TextEnsemble
{
    /// <summary>
    /// The features of all classes, averaged over the templates, computed with CLIP's own blocks and without gradients. For a single
    /// template the result is bit-identical to <see cref="TextTower.UnitFeatures"/>.
    /// </summary>
    /// <param name="tower">CLIP's text tower, used without prompts.</param>
    /// <param name="texts">[template][class] token ids, with the classes in the same order; ids after the end-of-text id are
    /// ignored.</param>
    /// <param name="normalizeEach">Whether the features of every text are normalised to length 1 before averaging, as in CLIP's zero-shot
    /// ensembles; otherwise they are averaged unnormalised, as in PromptSRC.</param>
    /// <param name="beforeEach">Called before each template; may throw to cancel.</param>
    /// <returns>[classes, embedding], rows of length 1, in the caller's dispose scope.</returns>
    /// <exception cref="ArgumentException">There is no template, templates have different numbers of classes, or a text is not valid for
    /// this CLIP.</exception>
    public static Tensor UnitFeatures(
        TextTower tower,
        IReadOnlyList<IReadOnlyList<int[]>> texts,
        bool normalizeEach,
        Action? beforeEach = null
    )
    {
        if (texts.Count == 0)
            throw new ArgumentException("The texts of at least one template are needed.", nameof(texts));
        for (int t = 1; t < texts.Count; t++)
            if (texts[t].Count != texts[0].Count)
                throw new ArgumentException(
                    $"Template {t} has texts of {texts[t].Count} classes, but template 0 of {texts[0].Count}: every template needs one "
                        + "text per class.",
                    nameof(texts)
                );
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var plain = new PlainBranch(tower.Weights.Blocks.Count);
        Tensor? sum = null;
        foreach (IReadOnlyList<int[]> classes in texts)
        {
            beforeEach?.Invoke();
            using var each = NewDisposeScope();
            using var classTexts = new ClassTexts(classes, tower.Weights);
            // With a single template the mean is normalised below; doing it here too would change the bits.
            Tensor features = normalizeEach && texts.Count > 1 ? tower.UnitFeatures(classTexts, plain) : tower.Features(classTexts, plain);
            if (sum is null)
                sum = features.MoveToOuterDisposeScope();
            else
                sum.PlusInPlace(features);
        }
        return PromptedClip.UnitRows(sum!.Over(texts.Count)).MoveToOuterDisposeScope();
    }
}
