using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Prompts;

/// <summary>Both branches and the cosine classifier over them: the model that is searched and trained. Not thread-safe.</summary>
/// <param name="image">The image branch.</param>
/// <param name="text">The text branch.</param>
/// <param name="texts">The classes.</param>
/// <param name="parts">Workers that share a step; null: the calling thread and libtorch's threads do it.</param>
internal sealed class PromptedClip(ImageTower image, TextTower text, ClassTexts texts, ClipParts? parts = null)
{
    public ImageTower Image => image;

    public TextTower Text => text;

    public ClassTexts Texts => texts;

    /// <summary>exp(logit scale) · cos(picture, class text).</summary>
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <param name="imagePrompts">The image branch's prompts.</param>
    /// <param name="textPrompts">The text branch's prompts.</param>
    /// <param name="backward">Owner of custom gradients until the step ends.</param>
    /// <returns>[batch, classes] in the caller's dispose scope.</returns>
    public Tensor Logits(Tensor images, IPromptedBranch imagePrompts, IPromptedBranch textPrompts, BackwardTensors backward)
    {
        if (parts is not null) return SplitLogits.Of(parts, images, imagePrompts, textPrompts, text.Weights.LogitScale, backward);
        using var scope = NewDisposeScope();
        Tensor imageFeatures = image.Forward(images, imagePrompts.Layers(), backward);
        Tensor classFeatures = UnitRows(text.Forward(texts, textPrompts.Layers(), backward));
        return Logits(imageFeatures, classFeatures, text.Weights.LogitScale).MoveToOuterDisposeScope();
    }

    /// <summary>[batch, embedding] features against [classes, embedding] unit rows: [batch, classes].</summary>
    public static Tensor Logits(Tensor imageFeatures, Tensor unitClassFeatures, double logitScale)
        => UnitRows(imageFeatures).matmul(unitClassFeatures.t()).mul_(logitScale);

    /// <summary>The class features [classes, embedding], unit length, without gradients. The caller owns them.</summary>
    public Tensor ClassFeatures(IPromptedBranch textPrompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        return UnitRows(text.Forward(texts, textPrompts.Layers(), backward)).DetachFromDisposeScope();
    }

    /// <summary>Divides every row by its length.</summary>
    public static Tensor UnitRows(Tensor features) => features / features.norm(-1, keepdim: true, p: 2.0f);
}
