using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>How CLIP without prompts does on the training images, at the temperature with the lowest loss.</summary>
/// <param name="Temperature">The power of √2 from 1 to 8 with the lowest loss.</param>
/// <param name="Loss">Mean cross-entropy there, in nats.</param>
/// <param name="ValidationAccuracy">Accuracy on the validation images, 0 to 1; null if there are none.</param>
internal sealed record ZeroShotStart(double Temperature, double Loss, double? ValidationAccuracy)
{
    private const int MostImages = 512;

    /// <summary>Evaluates the images of the first epoch, in its shuffled order and by whole batches until at least 512 are seen.</summary>
    /// <param name="clip">The model.</param>
    /// <param name="train">Training batches.</param>
    /// <param name="validation">Every image once in epoch 0; null if there are no validation images.</param>
    /// <param name="observer">May cancel between batches.</param>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public static ZeroShotStart Measure(PromptedClip clip, IBatchSource train, IBatchSource? validation, IRunObserver observer)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var zeroShot = Teacher.Create(clip);
        List<Tensor> logits = [],
            labels = [],
            weights = [];
        for (int step = 0, images = 0; step < train.BatchesPerEpoch && images < MostImages; step++)
        {
            observer.ThrowIfCancelled();
            using ImageBatch batch = train.Read(0, step);
            logits.Add(zeroShot.Outputs(batch, withImages: true).Logits);
            labels.Add(batch.Labels.clone());
            if (batch.Weights is not null)
                weights.Add(batch.Weights.clone());
            images += (int)batch.Labels.shape[0];
        }
        Tensor all = cat(logits, 0),
            classes = cat(labels, 0);
        Tensor? counts = weights.Count == 0 ? null : cat(weights, 0);
        double LossAt(double temperature)
        {
            using var each = NewDisposeScope();
            return Losses.CrossEntropy(all.Over(temperature), classes, counts).item<float>();
        }
        double lowest = Network.Temperature.LowestOf(LossAt);
        var plain = new BranchPair<PlainBranch>(
            Text: new PlainBranch(clip.Text.Weights.Blocks.Count),
            Image: new PlainBranch(clip.Image.Weights.Blocks.Count)
        );
        Evaluation? evaluation = validation is null ? null : Evaluation.Compute(clip, plain, validation, observer);
        return new ZeroShotStart(lowest, LossAt(lowest), evaluation?.Accuracy);
    }
}
