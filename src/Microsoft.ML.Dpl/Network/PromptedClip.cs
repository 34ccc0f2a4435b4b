using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The features and logits that CLIP computes for a batch and the classes.</summary>
/// <param name="Text">[classes, embedding] class features as unit rows</param>
/// <param name="Image">[batch, embedding] image features as unit rows</param>
/// <param name="Logits">[batch, classes] logit scale · cosine similarity</param>
internal sealed record ClipOutputs(Tensor Text, Tensor Image, Tensor Logits);

/// <summary>Both towers and the cosine classifier over them: the model that is searched and trained. Not thread-safe.</summary>
/// <param name="text">The text tower.</param>
/// <param name="image">The image tower.</param>
/// <param name="texts">The texts of the classes.</param>
/// <param name="parts">Workers that share a step; null: the step runs on the calling thread and libtorch's threads.</param>
internal sealed class PromptedClip(TextTower text, ImageTower image, ClassTexts texts, ClipParts? parts = null)
{
    public TextTower Text => text;

    public ImageTower Image => image;

    public ClassTexts Texts => texts;

    /// <summary>
    /// Returns the class features of CLIP without prompts, [classes, embedding] unit rows, not owned, where they differ from those of
    /// <see cref="Texts"/> because the latter contain a context or because templates are averaged. Null: they do not differ.
    /// </summary>
    public Func<Tensor>? PlainFeatures { get; init; }

    /// <summary>exp(logit scale) · cos(image, class text).</summary>
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <param name="prompts">The prompts of both branches.</param>
    /// <param name="backward">Owns custom gradients until the step ends.</param>
    /// <returns>[batch, classes] in the caller's dispose scope.</returns>
    public Tensor Logits<TBranch>(Tensor images, BranchPair<TBranch> prompts, BackwardTensors backward)
        where TBranch : IPromptedBranch
    {
        using var scope = NewDisposeScope();
        return Outputs(images, prompts, backward).Logits.MoveToOuterDisposeScope();
    }

    /// <summary>The logits together with the features they are computed from.</summary>
    /// <inheritdoc cref="Logits{TBranch}"/>
    /// <returns>Features and logits in the caller's dispose scope.</returns>
    public ClipOutputs Outputs<TBranch>(Tensor images, BranchPair<TBranch> prompts, BackwardTensors backward)
        where TBranch : IPromptedBranch
    {
        using var scope = NewDisposeScope();
        Tensor? plain = PlainOf(prompts.Text);
        Tensor textFeatures,
            imageFeatures;
        if (parts is not null)
        {
            var branches = prompts.Select<IPromptedBranch>(branch => branch);
            Tensor features = SplitFeatures.Create(parts, images, branches, withTexts: plain is null, backward);
            int classes = plain is null ? texts.Count : 0;
            textFeatures = plain ?? features.narrow(0, 0, classes);
            imageFeatures = features.narrow(0, classes, images.shape[0]);
        }
        else
        {
            imageFeatures = UnitRows(image.Forward(images, prompts.Image.Layers(), backward));
            textFeatures = plain ?? UnitRows(text.Forward(texts, prompts.Text.Layers(), backward, prompts.Text.Context()));
        }
        // Plain features belong to their owner: move an alias out of the scope, not the tensor itself.
        textFeatures = plain is null ? textFeatures : textFeatures.alias();
        textFeatures = TaskResidual.Add(textFeatures, prompts.Text.ClassOffsets());
        Tensor logits = imageFeatures.matmul(textFeatures.t()).TimesInPlace(text.Weights.LogitScale);
        return new ClipOutputs(
            textFeatures.MoveToOuterDisposeScope(),
            imageFeatures.MoveToOuterDisposeScope(),
            logits.MoveToOuterDisposeScope()
        );
    }

    /// <summary>The image tower with these prompts folded in; owned by the caller.</summary>
    public FoldedImageTower FoldedImage(IPromptedBranch imagePrompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new FoldedImageTower(image.Weights, imagePrompts.Layers());
    }

    /// <summary>
    /// [batch, embedding] features of images without gradients, computed by the workers if there are any; in the caller's dispose scope.
    /// </summary>
    /// <param name="tower">The image tower, with trained prompts or without prompts.</param>
    /// <param name="images">[batch, 3, size, size] normalised</param>
    public Tensor ImageFeatures(FoldedImageTower tower, Tensor images)
    {
        if (parts is null)
            return tower.Forward(images);
        return FromWorkers(parts, i =>
        {
            var (first, count) = ClipParts.Share((int)images.shape[0], i, parts.Team.Count);
            return count > 0 ? tower.Forward(images.narrow(0, first, count)) : null;
        });
    }

    /// <summary>[batch, classes] logits of [batch, embedding] features against [classes, embedding] unit rows.</summary>
    public static Tensor Logits(Tensor imageFeatures, Tensor unitClassFeatures, double logitScale) =>
        UnitRows(imageFeatures).matmul(unitClassFeatures.t()).TimesInPlace(logitScale);

    /// <summary>The class features [classes, embedding] as unit rows, without gradients; owned by the caller.</summary>
    public Tensor ClassFeatures(IPromptedBranch textPrompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor features = PlainOf(textPrompts)?.clone()
            ?? (
                parts is null
                    ? text.UnitFeatures(texts, textPrompts)
                    : FromWorkers(parts, i => parts.Texts(i) is { } own ? parts.Text.UnitFeatures(own, textPrompts) : null)
            );
        return TaskResidual.Add(features, textPrompts.ClassOffsets()).DetachFromDisposeScope();
    }

    private Tensor? PlainOf(IPromptedBranch textPrompts) => textPrompts.IsPlain ? PlainFeatures?.Invoke() : null;

    /// <summary>Divides every row by its length.</summary>
    public static Tensor UnitRows(Tensor features) => features / features.norm(-1, keepdim: true, p: 2.0f);

    /// <summary>Concatenates what the workers compute; in the caller's dispose scope.</summary>
    private static Tensor FromWorkers(ClipParts parts, Func<int, Tensor?> make)
    {
        using var noGrad = no_grad();
        // The tensors are created on other threads, which have dispose scopes of their own.
        var made = new Tensor?[parts.Team.Count];
        try
        {
            parts.Team.Run(i =>
            {
                using var noGradThere = no_grad();
                using var scope = NewDisposeScope();
                made[i] = make(i)?.DetachFromDisposeScope();
            });
            return cat([.. made.OfType<Tensor>()], 0);
        }
        finally
        {
            foreach (Tensor? part in made)
                part?.Dispose();
        }
    }
}
