using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The two towers over a <see cref="LearnedClip"/> and what they are trained with.</summary>
internal sealed class ContrastiveModel(LearnedClip clip)
{
    private const double Least = 1e-9; // so that 0 · log 0 is 0

    private readonly PlainBranch _imageBranch = new(clip.Config.Image.Layers),
        _textBranch = new(clip.Config.Text.Layers);
    private readonly ClipImageProcessorConfig _processor = ClipImageProcessorConfig.Default(clip.Config.ImageSize);

    /// <summary>
    /// Symmetric cross-entropy over the batch. All captions that are true of an image share its target, and all images that a caption is
    /// true of share the caption's, so neither equal nor merely shorter captions are punished. To it comes the cross-entropy of every
    /// question (labels as texts: UniCL, Yang et al. 2022, arXiv 2204.03610): a batch's captions alone tell rare attributes apart too
    /// seldom.
    /// </summary>
    /// <param name="images">[images, embedding] of unit length, of the batch's images.</param>
    /// <param name="batch">What they are asked.</param>
    /// <param name="resources">Kept until the step ends.</param>
    /// <returns>[] loss and [] its least possible value, in the caller's dispose scope.</returns>
    public (Tensor Loss, Tensor Floor) Loss(Tensor images, CaptionedBatch batch, StepResources resources)
    {
        Tensor texts = UnitTexts([.. batch.Texts, .. batch.Questions.SelectMany(q => q.Texts)], resources);
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

    /// <summary>[images, embedding] features of unit length, in the caller's dispose scope.</summary>
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

    /// <summary>[texts, embedding] features of unit length, in the caller's dispose scope.</summary>
    public Tensor UnitTexts(IReadOnlyList<int[]> texts, StepResources resources)
    {
        TextWeights weights = clip.FoldText();
        ClassTexts packed = resources.Keep(new ClassTexts(texts, weights));
        return PromptedClip.UnitRows(new TextTower(weights).Forward(packed, _textBranch.Layers(), resources.Backward));
    }
}
