using System.Globalization;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>What is added to the loss of a prompt step to keep the prompted model near to its teacher, zero-shot CLIP. An immutable record
/// of its weights, which becomes part of a fit's fingerprint.</summary>
internal interface IRegularizer
{
    /// <summary>What people know it by.</summary>
    string Name { get; }

    /// <summary>Its weights as a person writes them.</summary>
    string Numbers { get; }

    /// <summary>Whether it compares anything of the images; what concerns the class features alone is cheaper.</summary>
    bool ComparesImages { get; }

    /// <summary>Whether it compares features, so that the teacher must be the CLIP that is prompted.</summary>
    bool ComparesFeatures { get; }

    /// <summary>[] in nats or without a unit, weighted, in the caller's dispose scope.</summary>
    /// <param name="student">The prompted model; its logits are divided by the temperature.</param>
    /// <param name="teacher">Without gradients; of the same classes and images and the same temperature. Image features and logits only
    /// where <see cref="ComparesImages"/>.</param>
    /// <param name="weights">[batch], 1 on average over all batches; null: all 1</param>
    Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights);
}

/// <summary>Weight · KL(teacher ‖ student), the mean over the images.</summary>
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

/// <summary>KgCoOp (Yao, Zhang, Xu, CVPR 2023, arXiv 2303.13283): weight · (1 − mean cosine of each class's text feature and the
/// teacher's).</summary>
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
/// The self-regulating losses of PromptSRC (Khattak, Wasim, Naseer, Khan, Yang, Khan, ICCV 2023, arXiv 2307.06948): mean absolute
/// differences of text and image features to the teacher's, and the KL divergence of its probabilities, divided by the number of logits.
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
