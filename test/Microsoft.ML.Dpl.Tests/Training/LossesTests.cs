using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

public sealed class LossesTests
{
    /// <summary>The teacher comes first: 0.25 ln 0.5 + 0.75 ln 1.5. The other way round it would be 0.1438.</summary>
    [Fact]
    public void Distillation_is_the_divergence_of_the_student_from_the_teacher()
    {
        using var scope = NewDisposeScope();
        Tensor teacher = tensor(new[] { 0, MathF.Log(3) }, [1, 2]),
            student = zeros(1, 2);
        Assert.Equal(0.130812, Losses.Distillation(teacher, student).item<float>(), 1e-6);
        Assert.Equal(0.143841, Losses.Distillation(student, teacher).item<float>(), 1e-6);
        Assert.Equal(0, Losses.Distillation(teacher, teacher + 5).item<float>(), 1e-6);
    }

    [Fact]
    public void A_weight_multiplies_its_rows_loss()
    {
        using var scope = NewDisposeScope();
        Tensor logits = tensor(new[] { 1f, 0, -1, 0.5f, 2, 0, 0, 0, 3 }, [3, 3]),
            labels = tensor(new long[] { 0, 2, 1 }),
            teacher = logits.flip(1);
        float[] weights = [0.5f, 2, 0.25f];
        double cross = 0,
            distilled = 0;
        for (int i = 0; i < 3; i++)
        {
            cross += weights[i] * Losses.CrossEntropy(logits[i].unsqueeze(0), labels[i].unsqueeze(0)).item<float>() / 3;
            distilled += weights[i] * Losses.Distillation(teacher[i].unsqueeze(0), logits[i].unsqueeze(0)).item<float>() / 3;
        }
        Assert.Equal(cross, Losses.CrossEntropy(logits, labels, tensor(weights)).item<float>(), 1e-6);
        Assert.Equal(distilled, Losses.Distillation(teacher, logits, tensor(weights)).item<float>(), 1e-6);
        Assert.Equal(Losses.CrossEntropy(logits, labels).item<float>(), Losses.CrossEntropy(logits, labels, ones(3)).item<float>(), 1e-6);
    }

    /// <summary>−Σ q ln p with q = 1 − ε + ε / 3 for the label and ε / 3 for the two others.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    [InlineData(0.9)]
    public void Smoothed_labels_are_spread_over_all_classes(double smoothing)
    {
        using var scope = NewDisposeScope();
        float[] logits = [1, 0, -1, 0.5f, 2, 0];
        long[] labels = [0, 2];
        float[] weights = [0.5f, 1.5f];
        double expected = 0;
        for (int i = 0; i < 2; i++)
        {
            double[] exponentials = [.. logits[(3 * i)..(3 * i + 3)].Select(logit => Math.Exp(logit))];
            for (int j = 0; j < 3; j++)
            {
                double target = smoothing / 3 + (j == labels[i] ? 1 - smoothing : 0);
                expected -= weights[i] * target * Math.Log(exponentials[j] / exponentials.Sum()) / 2;
            }
        }
        Tensor loss = Losses.SmoothedCrossEntropy(tensor(logits, [2, 3]), tensor(labels), smoothing, tensor(weights));
        Assert.Equal(expected, loss.item<float>(), 1e-6);
    }
}
