using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Training;

/// <summary>The losses of training steps.</summary>
internal static class Losses
{
    /// <summary>Mean of weight · cross-entropy, in nats.</summary>
    /// <param name="logits">[batch, classes]</param>
    /// <param name="labels">[batch] class indices</param>
    /// <param name="weights">[batch], 1 on average over all batches; null: all 1</param>
    public static Tensor CrossEntropy(Tensor logits, Tensor labels, Tensor? weights = null) =>
        weights is null
            ? F.cross_entropy(logits, labels)
            : (F.cross_entropy(logits, labels, reduction: nn.Reduction.None) * weights).mean();

    /// <summary>
    /// Mean of weight · cross-entropy with label smoothing, in nats: a part of each label is spread over all classes (Szegedy et al., CVPR
    /// 2016, arXiv 1512.00567, section 7). Since it does not reward full certainty, logits stop growing once all images are learned.
    /// </summary>
    /// <param name="logits">[batch, classes]</param>
    /// <param name="labels">[batch] class indices</param>
    /// <param name="smoothing">The part ε, at least 0 and below 1: the target is 1 − ε + ε / classes for the label and ε / classes for the
    /// others.</param>
    /// <param name="weights">[batch], 1 on average over all batches; null: all 1</param>
    public static Tensor SmoothedCrossEntropy(Tensor logits, Tensor labels, double smoothing, Tensor? weights = null)
    {
        Tensor logProbabilities = F.log_softmax(logits, -1),
            ofLabels = F.nll_loss(logProbabilities, labels, reduction: nn.Reduction.None),
            ofAll = logProbabilities.mean([-1]).neg(),
            each = ofLabels.Times(1 - smoothing).Plus(ofAll.Times(smoothing));
        return (weights is null ? each : each * weights).mean();
    }

    /// <summary>Mean of weight · KL(teacher ‖ student) at temperature 1.</summary>
    /// <param name="teacherLogits">[batch, classes]</param>
    /// <param name="studentLogits">[batch, classes]</param>
    /// <param name="weights">[batch], 1 on average over all batches; null: all 1</param>
    public static Tensor Distillation(Tensor teacherLogits, Tensor studentLogits, Tensor? weights = null)
    {
        Tensor teacher = F.log_softmax(teacherLogits, -1),
            student = F.log_softmax(studentLogits, -1);
        Tensor divergence = (teacher.exp() * (teacher - student)).sum(-1);
        return (weights is null ? divergence : divergence * weights).mean();
    }
}
