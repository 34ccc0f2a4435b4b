using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

public sealed class LossesTests
{
    [Fact]
    public void A_weight_multiplies_its_rows_loss()
    {
        using var scope = NewDisposeScope();
        Tensor logits = tensor(new[] { 1f, 0, -1, 0.5f, 2, 0, 0, 0, 3 }, [3, 3]), labels = tensor(new long[] { 0, 2, 1 }), teacher = logits.flip(1);
        float[] weights = [0.5f, 2, 0.25f];
        double cross = 0, distilled = 0;
        for (int i = 0; i < 3; i++)
        {
            cross += weights[i] * Losses.CrossEntropy(logits[i].unsqueeze(0), labels[i].unsqueeze(0)).item<float>() / 3;
            distilled += weights[i] * Losses.Distillation(teacher[i].unsqueeze(0), logits[i].unsqueeze(0)).item<float>() / 3;
        }
        Assert.Equal(cross, Losses.CrossEntropy(logits, labels, tensor(weights)).item<float>(), 1e-6);
        Assert.Equal(distilled, Losses.Distillation(teacher, logits, tensor(weights)).item<float>(), 1e-6);
        Assert.Equal(Losses.CrossEntropy(logits, labels).item<float>(), Losses.CrossEntropy(logits, labels, ones(3)).item<float>(), 1e-6);
    }
}
