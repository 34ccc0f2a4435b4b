using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>All that scores are computed with once an image is prepared. Owns nothing.</summary>
/// <param name="Tower">Images to features.</param>
/// <param name="ClassFeatures">[classes, embedding], unit rows</param>
/// <param name="LogitScale">The factor on cosine similarities.</param>
internal sealed record FoldedClassifier(FoldedImageTower Tower, Tensor ClassFeatures, double LogitScale)
{
    /// <param name="images">[batch, 3, size, size] normalised</param>
    /// <returns>[batch, classes] in the caller's dispose scope.</returns>
    public Tensor Logits(Tensor images)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return PromptedClip.Logits(Tower.Forward(images), ClassFeatures, LogitScale).MoveToOuterDisposeScope();
    }
}
