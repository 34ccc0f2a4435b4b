using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

public sealed class EvaluationTests
{
    [Fact]
    public void Loss_and_accuracy_are_means_over_images_however_these_are_batched()
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        using ImageBatch first = trainable.Train.Read(0, 0),
            second = trainable.Train.Read(0, 1);
        Tensor images = cat([first.Images, second.Images]),
            labels = cat([first.Labels, second.Labels]);
        BranchPair<FixedBranch> prompts = trainable.Branches();
        using (prompts.Text)
        using (prompts.Image)
        {
            // The labels as they are, and labels that agree with the model's predictions for four of the six images.
            using var backward = new BackwardTensors();
            Tensor predicted = trainable.Clip.Logits(images, prompts, backward).argmax(-1);
            Tensor mostlyRight = cat([predicted[..4], (predicted[4..] + 1) % 5]);
            foreach (var (given, accuracy) in new (Tensor, double?)[] { (labels, null), (mostlyRight, 4 / 6.0) })
            {
                Evaluation whole = Of(6),
                    parts = Of(1, 4, 1);
                Assert.Equal(whole.Loss, parts.Loss, 1e-5);
                Assert.Equal(whole.Accuracy, parts.Accuracy);
                if (accuracy is double expected)
                    Assert.Equal(expected, parts.Accuracy);
                Evaluation Of(params int[] sizes) =>
                    Evaluation.Compute(trainable.Clip, prompts, new Parts(images, given, sizes), new StepRecorder());
            }
        }
    }

    /// <summary>The images in batches of the given sizes.</summary>
    private sealed class Parts(Tensor images, Tensor labels, int[] sizes) : IBatchSource
    {
        public int BatchesPerEpoch => sizes.Length;

        public ImageBatch Read(int epoch, int index)
        {
            int start = sizes.Take(index).Sum();
            return new ImageBatch(images.narrow(0, start, sizes[index]).clone(), labels.narrow(0, start, sizes[index]).clone(), null);
        }
    }
}
