using System.Globalization;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>
/// A term added to the loss of a prompt step to keep the prompted model close to its teacher, by default zero-shot CLIP. Implementations
/// are immutable records of their weights, which become part of a fit's fingerprint.
/// </summary>
internal interface IRegularizer
{
    /// <summary>The name shown to users.</summary>
    string Name { get; }

    /// <summary>The weights as text, as a user would write them.</summary>
    string Numbers { get; }

    /// <summary>Whether image features or logits are compared; a loss on class features alone is cheaper.</summary>
    bool ComparesImages { get; }

    /// <summary>Whether features are compared, so that the teacher must be the same CLIP as the student.</summary>
    bool ComparesFeatures { get; }

    /// <summary>[] the weighted loss, in nats or dimensionless; in the caller's dispose scope.</summary>
    /// <param name="student">The prompted model; its logits are divided by the temperature.</param>
    /// <param name="teacher">Outputs without gradients, for the same classes and images and at the same temperature. Image features and
    /// logits are given only if <see cref="ComparesImages"/>.</param>
    /// <param name="weights">[batch], 1 on average over all batches; null: all 1</param>
    Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights);
}

/// <summary>Weight · KL(teacher ‖ student), averaged over the images.</summary>
/// <param name="Weight">Above 0.</param>
internal sealed record DistillationLoss(double Weight) : IRegularizer
{
    public string Name => "distillation";

    public string Numbers => string.Create(CultureInfo.InvariantCulture, $"{Weight}");

    public bool ComparesImages => true;

    public bool ComparesFeatures => false;

    public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights) =>
        Losses.Distillation(teacher.Logits, student.Logits, weights).Times(Weight);
}

/// <summary>
/// KgCoOp (Yao, Zhang, Xu, CVPR 2023, arXiv 2303.13283): weight · (1 − mean cosine similarity between each class's text feature and the
/// teacher's).
/// </summary>
/// <param name="Weight">Above 0; 8 in the paper.</param>
internal sealed record KgCoOpLoss(double Weight) : IRegularizer
{
    public string Name => "KgCoOp";

    public string Numbers => string.Create(CultureInfo.InvariantCulture, $"{Weight}");

    public bool ComparesImages => false;

    public bool ComparesFeatures => true;

    public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights) =>
        (student.Text * teacher.Text).sum(-1).mean().OneMinus().Times(Weight);
}

/// <summary>
/// The self-regulating losses of PromptSRC (Khattak, Wasim, Naseer, Khan, Yang, Khan, ICCV 2023, arXiv 2307.06948): the mean absolute
/// difference between the student's and the teacher's text and image features, and KL(teacher ‖ student) divided by the number of classes.
/// </summary>
/// <param name="TextWeight">At least 0; 25 in the paper.</param>
/// <param name="ImageWeight">At least 0; 10 in the paper.</param>
/// <param name="LogitsWeight">At least 0; 1 in the paper.</param>
internal sealed record PromptSrcLoss(double TextWeight, double ImageWeight, double LogitsWeight) : IRegularizer
{
    public string Name => "PromptSRC";

    public string Numbers => string.Create(CultureInfo.InvariantCulture, $"{TextWeight} {ImageWeight} {LogitsWeight}");

    public bool ComparesImages => ImageWeight > 0 || LogitsWeight > 0;

    public bool ComparesFeatures => true;

    public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights)
    {
        Tensor loss = (student.Text - teacher.Text).abs().mean().Times(TextWeight);
        if (ImageWeight > 0)
        {
            Tensor distances = (student.Image - teacher.Image).abs();
            loss = loss.Plus((weights is null ? distances : distances * weights.unsqueeze(-1)).mean().Times(ImageWeight));
        }
        if (LogitsWeight > 0)
            loss = loss.Plus(Losses.Distillation(teacher.Logits, student.Logits, weights).Times(LogitsWeight / student.Logits.shape[1]));
        return loss;
    }
}
