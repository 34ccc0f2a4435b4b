using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The first stage: for each training batch an alpha step on a validation batch, then a prompt step (METHOD: first-order bilevel optimisation as in DARTS).</summary>
internal sealed class BilevelSearch(PromptedClip clip, SearchSettings settings, IRunObserver observer)
{
    private const string AlphaOptimizer = "optimizer.alphas", PromptOptimizer = "optimizer.prompts";

    /// <param name="supernet">Changed in place.</param>
    /// <param name="train">One pass per epoch.</param>
    /// <param name="validation">Gone round independently of the training epochs, its own epochs counted from 0.</param>
    /// <param name="course">Goes on with every step, and says how far the search came where it is ended from outside.</param>
    /// <param name="checkpoints">Where the state is kept between steps, and taken from; null: nowhere.</param>
    /// <exception cref="InvalidOperationException">The loss became infinite or not a number.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public SearchResult Run(Supernet supernet, IBatchSource train, IBatchSource validation, SearchCourse course, IStageCheckpoints? checkpoints = null)
    {
        using var alphaStep = new AlphaStep(clip, supernet, settings);
        using var promptStep = new PromptStep(clip, supernet, settings);
        Alphas before = course.Epochs.Count > 0 ? course.Epochs[^1].Alphas : Read(supernet);
        if (checkpoints?.Saved is { } saved) Restore(saved, supernet, alphaStep, promptStep);
        var gate = new StepGate(observer, checkpoints);
        while (course.ReasonToEnd(settings) is null)
        {
            gate.Pass(course.Step == 0, () => State(supernet, alphaStep, promptStep, course));
            int epoch = course.Epochs.Count, step = course.Step, steps = train.BatchesPerEpoch;
            double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.PromptLearningRate);
            promptStep.SetLearningRate(rate);
            // One validation batch goes with each training batch, so their number follows from the steps taken.
            long taken = (long)epoch * steps + step;
            using ImageBatch validationBatch = validation.Read((int)(taken / validation.BatchesPerEpoch), (int)(taken % validation.BatchesPerEpoch));
            double upper = alphaStep.Run(validationBatch, epoch, step);
            using ImageBatch trainBatch = train.Read(epoch, step);
            double lower = promptStep.Run(trainBatch, epoch, step);
            course.Add(lower, upper);
            EpochReport? ended = null;
            if (course.Step == steps)
            {
                SearchEpoch now = course.EndEpoch(rate, Read(supernet));
                ended = new EpochReport(now.TrainLoss, now.ValidationLoss, null, now.Alphas.Leads().Count(lead => lead >= settings.Margin), now.Alphas.LargestChangeFrom(before), now.Alphas.Text, now.Alphas.Image);
                before = now.Alphas;
            }
            observer.Report(new StepReport(RunStage.Search, epoch, settings.Epochs, step, steps, rate, lower, upper, null, ended));
        }
        return new SearchResult(settings.Candidates, course.Epochs);
    }

    private static StageState State(Supernet supernet, AlphaStep alphas, PromptStep prompts, SearchCourse course)
    {
        var tensors = new Dictionary<string, Tensor> { [AlphaOptimizer] = SavedParameters.Of(alphas.Optimizer), [PromptOptimizer] = SavedParameters.Of(prompts.Optimizer) };
        SavedParameters.Add(tensors, "alphas", [.. supernet.Alphas]);
        SavedParameters.Add(tensors, "prompts", [.. supernet.Prompts]);
        return new StageState(course.ToJson(), tensors);
    }

    private static void Restore(StageState saved, Supernet supernet, AlphaStep alphas, PromptStep prompts)
    {
        SavedParameters.Restore([.. supernet.Alphas], saved.Tensors, "alphas");
        SavedParameters.Restore([.. supernet.Prompts], saved.Tensors, "prompts");
        SavedParameters.Restore(alphas.Optimizer, saved.Tensors[AlphaOptimizer]);
        SavedParameters.Restore(prompts.Optimizer, saved.Tensors[PromptOptimizer]);
    }

    private static Alphas Read(Supernet supernet) => new(Rows(supernet.Image.Alphas), Rows(supernet.Text.Alphas));

    private static float[][] Rows(Tensor alphas)
    {
        using var scope = NewDisposeScope();
        float[] values = alphas.detach().cpu().data<float>().ToArray();
        return values.Chunk((int)alphas.shape[1]).ToArray();
    }
}
