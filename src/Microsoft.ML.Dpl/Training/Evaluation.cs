using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>Accuracy and loss of prompts on a set of images.</summary>
/// <param name="Accuracy">Share of images whose largest logit is that of their class, 0 to 1; not weighted.</param>
/// <param name="Loss">Mean of weight · cross-entropy, in nats.</param>
/// <param name="FirstBad">Source rows of the first batch whose loss is infinite or NaN; empty if all are finite.</param>
internal sealed record Evaluation(double Accuracy, double Loss, IReadOnlyList<int> FirstBad)
{
    /// <param name="clip">The model.</param>
    /// <param name="prompts">The prompts of both branches.</param>
    /// <param name="images">Every image once in epoch 0.</param>
    /// <param name="observer">May cancel between batches.</param>
    /// <param name="temperature">Divisor of the logits, above 0.</param>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public static Evaluation Compute<TBranch>(
        PromptedClip clip,
        BranchPair<TBranch> prompts,
        IBatchSource images,
        IRunObserver observer,
        double temperature = 1
    )
        where TBranch : IPromptedBranch =>
        Compute(
            clip,
            prompts,
            temperature,
            Enumerable
                .Range(0, images.BatchesPerEpoch)
                .Select(index =>
                {
                    observer.ThrowIfCancelled();
                    return images.Read(0, index);
                })
        );

    /// <summary>Evaluates a single batch, which is disposed.</summary>
    /// <inheritdoc cref="Compute{TBranch}(PromptedClip, BranchPair{TBranch}, IBatchSource, IRunObserver, double)"/>
    public static Evaluation Compute<TBranch>(PromptedClip clip, BranchPair<TBranch> prompts, ImageBatch batch, double temperature = 1)
        where TBranch : IPromptedBranch => Compute(clip, prompts, temperature, new[] { batch });

    /// <exception cref="NonFiniteValueException">The loss is infinite or NaN.</exception>
    public void RequireFinite(int epoch, int step)
    {
        if (!double.IsFinite(Loss))
            throw new NonFiniteValueException(FitStage.Training, epoch, step, Watched.ValidationLoss, Loss, FirstBad, isInValidation: true);
    }

    /// <summary>Evaluates all batches, disposing each before the next is read.</summary>
    private static Evaluation Compute<TBranch>(
        PromptedClip clip,
        BranchPair<TBranch> prompts,
        double temperature,
        IEnumerable<ImageBatch> batches
    )
        where TBranch : IPromptedBranch
    {
        using var noGrad = no_grad();
        using Tensor classFeatures = clip.ClassFeatures(prompts.Text);
        using FoldedImageTower tower = clip.FoldedImage(prompts.Image);
        double scale = clip.Text.Weights.LogitScale / temperature;
        long right = 0,
            all = 0;
        double loss = 0;
        IReadOnlyList<int> firstBad = [];
        foreach (ImageBatch next in batches)
        {
            using var scope = NewDisposeScope();
            using ImageBatch batch = next;
            Tensor logits = PromptedClip.Logits(clip.ImageFeatures(tower, batch.Images), classFeatures, scale);
            right += logits.argmax(-1).eq(batch.Labels).sum().item<long>();
            all += batch.Labels.shape[0];
            double ofBatch = Losses.CrossEntropy(logits, batch.Labels, batch.Weights).item<float>();
            if (!double.IsFinite(ofBatch) && double.IsFinite(loss))
                firstBad = batch.SourceRows ?? [];
            loss += ofBatch * batch.Labels.shape[0];
        }
        return new Evaluation((double)right / all, loss / all, firstBad);
    }
}
