using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The teachers of a student.</summary>
/// <param name="ForFeatures">The CLIP that is prompted, without prompts; not owned.</param>
/// <param name="ForLogits">The same teacher, or one with another CLIP; not owned.</param>
internal sealed record Teachers(Teacher ForFeatures, Teacher ForLogits)
{
    /// <summary>Uses one teacher for both.</summary>
    public Teachers(Teacher teacher)
        : this(teacher, teacher) { }
}

/// <summary>
/// A frozen CLIP without prompts, by default the same CLIP as the student, to which regularisers and ProGrad compare the prompted one.
/// </summary>
internal sealed class Teacher : IDisposable
{
    private readonly Tensor _text; // [classes, embedding] unit rows
    private readonly double _logitScale;
    private readonly Func<ImageBatch, Tensor> _imageFeatures; // [batch, embedding]
    private readonly IDisposable _images;

    private Teacher(Tensor text, double logitScale, Func<ImageBatch, Tensor> imageFeatures, IDisposable images) =>
        (_text, _logitScale, _imageFeatures, _images) = (text, logitScale, imageFeatures, images);

    /// <summary>A teacher that processes every batch, as the student does.</summary>
    /// <param name="clip">Provides the image tower, and the class features if <paramref name="text"/> is null; not owned.</param>
    /// <param name="text">[classes, embedding] class features as unit rows; owned by the caller. Null: those of zero-shot CLIP.</param>
    public static Teacher Create(PromptedClip clip, Tensor? text = null)
    {
        var tower = new FoldedImageTower(clip.Image.Weights, new Tensor?[clip.Image.Weights.Blocks.Count]);
        return new Teacher(
            text?.clone().DetachFromDisposeScope() ?? clip.ClassFeatures(new PlainBranch(clip.Text.Weights.Blocks.Count)),
            clip.Text.Weights.LogitScale,
            batch => clip.ImageFeatures(tower, batch.Images),
            tower
        );
    }

    /// <summary>
    /// A teacher with precomputed features of every training image, prepared as for prediction: one forward pass per image and fit instead
    /// of one per step.
    /// </summary>
    /// <param name="text">[classes, embedding] class features as unit rows; owned by the caller.</param>
    /// <param name="imageFeatures">[images, embedding], indexed by <see cref="ImageBatch.SourceRows"/>; owned by the teacher from now
    /// on.</param>
    /// <param name="logitScale">The factor by which cosine similarities are multiplied.</param>
    public static Teacher FromTable(Tensor text, Tensor imageFeatures, double logitScale) =>
        new(
            text.clone().DetachFromDisposeScope(),
            logitScale,
            batch =>
                imageFeatures.index_select(
                    0,
                    tensor([.. batch.SourceRows!.Select(row => (long)row)], ScalarType.Int64, device: imageFeatures.device)
                ),
            imageFeatures
        );

    /// <summary>Features and logits without gradients, in the caller's dispose scope.</summary>
    /// <param name="batch">The images, or their source rows for a teacher with precomputed features.</param>
    /// <param name="withImages">Whether image features and logits are computed; otherwise they are empty.</param>
    public ClipOutputs Outputs(ImageBatch batch, bool withImages)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (!withImages)
            return new ClipOutputs(
                _text.alias().MoveToOuterDisposeScope(),
                empty(0).MoveToOuterDisposeScope(),
                empty(0).MoveToOuterDisposeScope()
            );
        Tensor image = PromptedClip.UnitRows(_imageFeatures(batch));
        return new ClipOutputs(
            _text.alias().MoveToOuterDisposeScope(),
            image.MoveToOuterDisposeScope(),
            image.matmul(_text.t()).TimesInPlace(_logitScale).MoveToOuterDisposeScope()
        );
    }

    public void Dispose()
    {
        _text.Dispose();
        _images.Dispose();
    }
}
