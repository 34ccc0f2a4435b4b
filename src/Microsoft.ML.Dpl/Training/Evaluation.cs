using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>How prompts do on a set of pictures.</summary>
/// <param name="Accuracy">Share of pictures whose largest logit is their class's, 0 to 1; not weighted.</param>
/// <param name="Loss">Mean of weight · cross-entropy, in nats.</param>
internal sealed record Evaluation(double Accuracy, double Loss)
{
    /// <param name="clip">The model.</param>
    /// <param name="image">Image prompts.</param>
    /// <param name="text">Text prompts.</param>
    /// <param name="pictures">Every picture once in epoch 0.</param>
    /// <param name="observer">May end the evaluation between batches.</param>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public static Evaluation Of(PromptedClip clip, FixedBranch image, FixedBranch text, IBatchSource pictures, IRunObserver observer)
    {
        using var noGrad = no_grad();
        using Tensor classFeatures = clip.ClassFeatures(text);
        using var tower = new FoldedImageTower(clip.Image.Weights, image.Rows);
        long right = 0, all = 0;
        double loss = 0;
        for (int index = 0; index < pictures.BatchesPerEpoch; index++)
        {
            observer.ThrowIfCancelled();
            using var scope = NewDisposeScope();
            using ImageBatch batch = pictures.Read(0, index);
            Tensor logits = PromptedClip.Logits(tower.Forward(batch.Images), classFeatures, clip.Text.Weights.LogitScale);
            right += logits.argmax(-1).eq(batch.Labels).sum().item<long>();
            all += batch.Labels.shape[0];
            loss += Losses.CrossEntropy(logits, batch.Labels, batch.Weights).item<float>() * (double)batch.Labels.shape[0];
        }
        return new Evaluation((double)right / all, loss / all);
    }
}
