using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>
/// The temperature at which a trained model's probabilities fit the validation images best (Guo et al., ICML 2017, arXiv 1706.04599). It
/// does not change the ranking of the classes, so every prediction stays the same.
/// </summary>
/// <param name="Temperature">Divisor of CLIP's logits, above 0; includes the temperature used in training.</param>
/// <param name="LossBefore">Mean cross-entropy of the validation images before calibration, in nats.</param>
/// <param name="LossAfter">Mean cross-entropy of the validation images after calibration, in nats.</param>
internal sealed record Calibration(double Temperature, double LossBefore, double LossAfter)
{
    // Beyond this factor, predictions are practically uniform or practically certain.
    private const double MostChange = 16;
    private const int Narrowings = 60;

    /// <param name="clip">The model.</param>
    /// <param name="prompts">Trained prompts of both branches.</param>
    /// <param name="images">Every validation image once in epoch 0.</param>
    /// <param name="temperature">Temperature used in training, above 0.</param>
    /// <param name="observer">May cancel between batches.</param>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public static Calibration Fit<TBranch>(
        PromptedClip clip,
        BranchPair<TBranch> prompts,
        IBatchSource images,
        double temperature,
        IRunObserver observer
    )
        where TBranch : IPromptedBranch
    {
        List<Row> rows = Rows(clip, prompts, images, temperature, observer);
        double factor = BestFactor(rows);
        return new Calibration(temperature * factor, Loss(rows, 1), Loss(rows, factor));
    }

    /// <summary>
    /// The mean cross-entropy with smoothed targets (Platt, 1999), as if two more images had been seen and one of them misclassified;
    /// otherwise a model that is right on every validation image would be made fully certain.
    /// </summary>
    internal static double SmoothedLoss(IReadOnlyList<Row> rows, double factor)
    {
        double wrong = 1.0 / (rows.Count + 2);
        return rows.Average(row => row.Weight * ((1 - wrong) * row.Loss(factor) + wrong * row.MeanLoss(factor)));
    }

    /// <summary>The best divisor of the logits, from 1/16 to 16.</summary>
    internal static double BestFactor(IReadOnlyList<Row> rows) =>
        Math.Exp(Lowest(logarithm => SmoothedLoss(rows, Math.Exp(logarithm)), Math.Log(MostChange)));

    internal static double Loss(IReadOnlyList<Row> rows, double factor) => rows.Average(row => row.Weight * row.Loss(factor));

    /// <summary>Golden-section search; the loss has a single minimum, since it is convex in the inverse temperature.</summary>
    private static double Lowest(Func<double, double> loss, double bound)
    {
        double ratio = (Math.Sqrt(5) - 1) / 2,
            from = -bound,
            to = bound;
        for (int i = 0; i < Narrowings; i++)
        {
            double left = to - ratio * (to - from),
                right = from + ratio * (to - from);
            if (loss(left) <= loss(right))
                to = right;
            else
                from = left;
        }
        return (from + to) / 2;
    }

    private static List<Row> Rows<TBranch>(
        PromptedClip clip,
        BranchPair<TBranch> prompts,
        IBatchSource images,
        double temperature,
        IRunObserver observer
    )
        where TBranch : IPromptedBranch
    {
        using var noGrad = no_grad();
        using Tensor classFeatures = clip.ClassFeatures(prompts.Text);
        using FoldedImageTower tower = clip.FoldedImage(prompts.Image);
        double scale = clip.Text.Weights.LogitScale / temperature;
        var rows = new List<Row>();
        for (int index = 0; index < images.BatchesPerEpoch; index++)
        {
            observer.ThrowIfCancelled();
            using var scope = NewDisposeScope();
            using ImageBatch batch = images.Read(0, index);
            Tensor logits = PromptedClip.Logits(clip.ImageFeatures(tower, batch.Images), classFeatures, scale);
            float[][] each = logits.cpu().data<float>().ToArray().Chunk((int)classFeatures.shape[0]).ToArray();
            long[] labels = batch.Labels.cpu().data<long>().ToArray();
            float[]? weights = batch.Weights?.cpu().data<float>().ToArray();
            rows.AddRange(each.Select((row, i) => new Row(row, (int)labels[i], weights?[i] ?? 1)));
        }
        return rows;
    }

    /// <summary>An image's logits.</summary>
    /// <param name="Logits">One per class.</param>
    /// <param name="Label">Index of its class.</param>
    /// <param name="Weight">Weight of its loss.</param>
    internal sealed record Row(float[] Logits, int Label, double Weight)
    {
        /// <summary>Cross-entropy in nats, with the logits divided by a factor.</summary>
        public double Loss(double factor) => LogSum(factor) - Logits[Label] / factor;

        /// <summary>The mean over all classes of the cross-entropy with that class as the label.</summary>
        public double MeanLoss(double factor) => LogSum(factor) - Logits.Average(logit => (double)logit) / factor;

        private double LogSum(double factor)
        {
            double highest = Logits.Max() / factor;
            return highest + Math.Log(Logits.Sum(logit => Math.Exp(logit / factor - highest)));
        }
    }
}
