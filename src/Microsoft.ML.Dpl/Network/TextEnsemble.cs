using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The class features of several templates, averaged. One template's texts are computed at a time, so that 80 templates take no
/// more memory than one.</summary>
internal static class TextEnsemble
{
    /// <summary>The features of all classes, averaged over the templates, by CLIP's own blocks and without gradients. One template alone
    /// gives the bits of <see cref="TextTower.UnitFeatures"/>.</summary>
    /// <param name="tower">CLIP's text tower; no prompt enters it.</param>
    /// <param name="texts">[template][class] token ids, the classes in one order; what lies behind the end-of-text id is ignored.</param>
    /// <param name="normalizeEach">Whether every text's features are brought to length 1 before the mean, as CLIP's zero-shot ensembles do;
    /// otherwise they are averaged as they come, as PromptSRC does.</param>
    /// <param name="beforeEach">Called before each template; may throw to end the work.</param>
    /// <returns>[classes, embedding], rows of length 1, in the caller's dispose scope.</returns>
    /// <exception cref="ArgumentException">There is no template, templates have different numbers of classes, or a text is none that this
    /// CLIP can read.</exception>
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
            // A mean of one needs no unit rows, which would be brought to length 1 twice.
            Tensor features = normalizeEach && texts.Count > 1 ? tower.UnitFeatures(classTexts, plain) : tower.Features(classTexts, plain);
            if (sum is null)
                sum = features.MoveToOuterDisposeScope();
            else
                sum.PlusInPlace(features);
        }
        return PromptedClip.UnitRows(sum!.Over(texts.Count)).MoveToOuterDisposeScope();
    }
}
