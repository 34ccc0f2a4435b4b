using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The two towers over the parameters of a <see cref="LearnedClip"/>, and the loss that trains them.</summary>
internal sealed class ContrastiveModel(LearnedClip clip)
{
    private const double Least = 1e-9; // makes 0 · log 0 equal to 0

    private readonly PlainBranch _imageBranch = new(clip.Config.Image.Layers),
        _textBranch = new(clip.Config.Text.Layers);
    private readonly ClipImageProcessorConfig _processor = ClipImageProcessorConfig.Default(clip.Config.ImageSize);

    /// <summary>
    /// Symmetric cross-entropy over the batch. An image's target is shared by all captions that are true of it, and a caption's target by
    /// all images that it is true of, so that neither equal nor merely shorter captions are penalised. The cross-entropy of every question
    /// is added (labels as texts: UniCL, Yang et al. 2022, arXiv 2204.03610), since a batch's captions alone rarely contrast rare
    /// attributes.
    /// </summary>
    /// <param name="images">Features of the batch's images, [images, embedding], of unit length.</param>
    /// <param name="batch">The captions and questions of the batch.</param>
    /// <param name="texts">Features of <see cref="CaptionedBatch.AllTexts"/>, [texts, embedding], of unit length.</param>
    /// <returns>The loss and its smallest possible value, both scalars, in the caller's dispose scope.</returns>
    public (Tensor Loss, Tensor Floor) Loss(Tensor images, CaptionedBatch batch, Tensor texts)
    {
        Tensor similarities = images.matmul(texts.t()) * clip.LogitScale.exp(); // [images, captions and answers]
        Tensor logits = similarities.narrow(1, 0, batch.Texts.Count);
        Tensor truth = tensor(batch.Truth, [batch.Count, batch.Texts.Count], device: clip.LogitScale.device);
        Tensor toTexts = truth / truth.sum(1, keepdim: true),
            toImages = truth / truth.sum(0, keepdim: true);
        Tensor CrossEntropy(Tensor logOfTexts, Tensor logOfImages) =>
            (logOfTexts * toTexts).sum().Over(batch.Count).Plus((logOfImages * toImages).sum().Over(batch.Texts.Count)).Times(-0.5);
        Tensor loss = CrossEntropy(logits.log_softmax(1), logits.log_softmax(0)),
            floor = CrossEntropy(toTexts.AtLeast(Least).log(), toImages.AtLeast(Least).log());
        long first = batch.Texts.Count;
        foreach (ImageQuestion question in batch.Questions)
        {
            loss = loss.Plus(
                nn.functional.cross_entropy(
                    similarities.narrow(1, first, question.Texts.Count),
                    tensor(question.Answers, device: clip.LogitScale.device)
                )
            );
            first += question.Texts.Count;
        }
        return (loss, floor);
    }

    /// <summary>Image features [images, embedding] of unit length, in the caller's dispose scope.</summary>
    public Tensor UnitImages(byte[] planes, int count, StepResources resources)
    {
        int side = clip.Config.ImageSize;
        Device device = clip.LogitScale.device;
        Tensor mean = tensor(_processor.Mean, [3, 1, 1], device: device),
            deviation = tensor(_processor.Deviation, [3, 1, 1], device: device);
        Tensor images = tensor(planes, [count, 3, side, side], device: device)
            .to(ScalarType.Float32)
            .OverInPlace(255)
            .sub_(mean)
            .div_(deviation);
        ImageTower tower = resources.Keep(new ImageTower(clip.FoldImageTower()));
        return PromptedClip.UnitRows(tower.Forward(images, _imageBranch.Layers(), resources.Backward));
    }

    /// <summary>Text features [texts, embedding] of unit length, in the caller's dispose scope.</summary>
    public Tensor UnitTexts(IReadOnlyList<int[]> texts, StepResources resources)
    {
        TextWeights weights = clip.FoldText();
        ClassTexts packed = resources.Keep(new ClassTexts(texts, weights));
        return PromptedClip.UnitRows(new TextTower(weights).Forward(packed, _textBranch.Layers(), resources.Backward));
    }
}
