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
