using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Training;

/// <summary>What a step minimises.</summary>
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
    /// Mean of weight · cross-entropy, in nats, to labels of which a part is spread over all classes (Szegedy et al., CVPR 2016, arXiv
    /// 1512.00567, section 7). It asks for no certainty, so that logits do not grow once all images are learned.
    /// </summary>
    /// <param name="logits">[batch, classes]</param>
    /// <param name="labels">[batch] class indices</param>
    /// <param name="smoothing">The part ε, 0 to below 1: the target of the label is 1 − ε + ε / classes, of others ε / classes.</param>
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
