using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Training;

/// <summary>What a step minimises.</summary>
internal static class Losses
{
    /// <summary>Mean cross-entropy of logits [batch, classes] against class indices [batch].</summary>
    public static Tensor CrossEntropy(Tensor logits, Tensor labels) => F.cross_entropy(logits, labels);

    /// <summary>KL(teacher ‖ student) at temperature 1, averaged over the batch; both are logits [batch, classes].</summary>
    public static Tensor Distillation(Tensor teacherLogits, Tensor studentLogits)
    {
        Tensor teacher = F.log_softmax(teacherLogits, -1), student = F.log_softmax(studentLogits, -1);
        return (teacher.exp() * (teacher - student)).sum(-1).mean();
    }
}
