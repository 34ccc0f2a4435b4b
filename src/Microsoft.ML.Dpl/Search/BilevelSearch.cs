using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The first stage: for each training batch an alpha step on a validation batch, then a prompt step (METHOD: first-order bilevel optimisation as in DARTS).</summary>
internal sealed class BilevelSearch(PromptedClip clip, SearchSettings settings, IRunObserver observer)
{
    /// <param name="supernet">Changed in place.</param>
    /// <param name="train">One pass per epoch.</param>
    /// <param name="validation">Gone round independently of the training epochs, its own epochs counted from 0.</param>
    /// <exception cref="InvalidOperationException">The loss became infinite or not a number.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public SearchResult Run(Supernet supernet, IBatchSource train, IBatchSource validation)
    {
        using var alphaStep = new AlphaStep(clip, supernet, settings);
        using var promptStep = new PromptStep(clip, supernet, settings);
        var epochs = new List<SearchEpoch>(settings.Epochs);
        int validationBatches = 0;
        for (int epoch = 0; epoch < settings.Epochs; epoch++)
        {
            double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.PromptLearningRate), trainLoss = 0, validationLoss = 0;
            promptStep.SetLearningRate(rate);
            for (int step = 0; step < train.BatchesPerEpoch; step++, validationBatches++)
            {
                observer.ThrowIfCancelled();
                using ImageBatch validationBatch = validation.Read(validationBatches / validation.BatchesPerEpoch, validationBatches % validation.BatchesPerEpoch);
                double upper = alphaStep.Run(validationBatch, epoch, step);
                using ImageBatch trainBatch = train.Read(epoch, step);
                double lower = promptStep.Run(trainBatch, epoch, step);
                (trainLoss, validationLoss) = (trainLoss + lower, validationLoss + upper);
                observer.Report(new StepReport(RunStage.Search, epoch, settings.Epochs, step, train.BatchesPerEpoch, rate, lower, upper, null));
            }
            epochs.Add(new SearchEpoch(rate, trainLoss / train.BatchesPerEpoch, validationLoss / train.BatchesPerEpoch, Read(supernet)));
        }
        return new SearchResult(settings.Candidates, epochs);
    }

    private static Alphas Read(Supernet supernet) => new(Rows(supernet.Image.Alphas), Rows(supernet.Text.Alphas));

    private static float[][] Rows(Tensor alphas)
    {
        using var scope = NewDisposeScope();
        float[] values = alphas.detach().cpu().data<float>().ToArray();
        return values.Chunk((int)alphas.shape[1]).ToArray();
    }
}
