using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>CLIP without prompts on the same images: what distillation keeps the prompted model near to.</summary>
internal sealed class ZeroShotTeacher : IDisposable
{
    private readonly PromptedClip _clip;
    private readonly FoldedImageTower _image;
    private readonly Tensor _classFeatures;
    private readonly double _logitScale;

    public ZeroShotTeacher(PromptedClip clip)
    {
        _clip = clip;
        _image = new FoldedImageTower(clip.Image.Weights, new Tensor?[clip.Image.Weights.Blocks.Count]);
        _classFeatures = clip.ClassFeatures(new PlainBranch(clip.Text.Weights.Blocks.Count));
        _logitScale = clip.Text.Weights.LogitScale;
    }

    /// <summary>[batch, classes] without gradients, in the caller's dispose scope.</summary>
    public Tensor Logits(Tensor images)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return PromptedClip.Logits(_clip.ImageFeatures(_image, images), _classFeatures, _logitScale).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _image.Dispose();
        _classFeatures.Dispose();
    }
}
