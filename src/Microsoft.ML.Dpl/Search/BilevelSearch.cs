using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The first stage: for each training batch an alpha step on a validation batch, then a prompt step (METHOD: first-order bilevel
/// optimisation as in DARTS).</summary>
internal sealed class BilevelSearch(PromptedClip clip, SearchSettings settings, IRunObserver observer)
{
    private const string AlphaOptimizer = "optimizer.alphas",
        PromptOptimizer = "optimizer.prompts",
        Good = "good";

    /// <param name="supernet">Changed in place.</param>
    /// <param name="train">One pass per epoch.</param>
    /// <param name="validation">Gone round independently of the training epochs, its own epochs counted from 0.</param>
    /// <param name="course">Goes on with every step, and says how far the search came where it is ended from outside.</param>
    /// <param name="checkpoints">Where the state is kept between steps, and taken from; null: nowhere.</param>
    /// <exception cref="DivergedException">The loss or a gradient became infinite or not a number; the supernet has the values of the
    /// latest good epoch again, if there is one.</exception>
    /// <exception cref="OperationCanceledException">The observer ended the run.</exception>
    public void Run(
        Supernet supernet,
        IBatchSource train,
        IBatchSource validation,
        SearchCourse course,
        IStageCheckpoints? checkpoints = null
    )
    {
        using var alphaStep = new AlphaStep(clip, supernet, settings);
        using var promptStep = new PromptStep(clip, supernet, settings);
        using var good = new GoodValues([.. supernet.Alphas, .. supernet.Prompts]);
        BranchPair<IReadOnlyList<IReadOnlyList<float>>> before = course.Epochs.Count > 0 ? course.Epochs[^1].Alphas : Read(supernet);
        if (checkpoints?.Saved is { } saved)
            Restore(saved, supernet, alphaStep, promptStep, good, course);
        var gate = new StepGate(observer, checkpoints);
        while (course.ReasonToEnd(settings) is null)
        {
            gate.Pass(course.Step == 0, () => State(supernet, alphaStep, promptStep, good, course));
            int epoch = course.Epochs.Count,
                step = course.Step,
                steps = train.BatchesPerEpoch;
            double rate = LearningRateSchedule.At(epoch, settings.Epochs, settings.PromptLearningRate);
            promptStep.SetLearningRate(rate);
            // One validation batch goes with each training batch, so their number follows from the steps taken.
            long taken = (long)epoch * steps + step;
            using ImageBatch validationBatch = validation.Read(
                (int)(taken / validation.BatchesPerEpoch),
                (int)(taken % validation.BatchesPerEpoch)
            );
            using ImageBatch trainBatch = train.Read(epoch, step);
            if (step == 0)
                good.Consider(epoch);
            double upper,
                lower;
            try
            {
                (upper, lower) = (alphaStep.Run(validationBatch, epoch, step), promptStep.Run(trainBatch, epoch, step));
            }
            catch (DivergedException e)
            {
                (e.LossBefore, e.HasGoodValues) = (course.RecentLoss(), good.Epochs > 0);
                good.Restore();
                throw;
            }
            good.Confirm();
            course.GoodEpochs = good.Epochs;
            course.Add(lower, upper);
            EpochReport? ended = null;
            if (course.Step == steps)
            {
                DplSearchEpoch now = course.EndEpoch(rate, Read(supernet));
                ended = new EpochReport(
                    now.TrainLoss,
                    course.Epochs[0].TrainLoss,
                    LossTroubles.Of([.. course.Epochs.Select(e => e.TrainLoss)], clip.Texts.Count),
                    now.ValidationLoss,
                    null,
                    AlphaWeights.Leads(now.Alphas).Count(lead => lead >= settings.Margin),
                    AlphaWeights.LargestChange(before, now.Alphas),
                    now.Alphas
                );
                before = now.Alphas;
            }
            observer.Report(new StepReport(RunStage.Search, epoch, settings.Epochs, step, steps, rate, lower, upper, null, ended));
        }
    }

    private static StageState State(Supernet supernet, AlphaStep alphas, PromptStep prompts, GoodValues good, SearchCourse course)
    {
        var tensors = new Dictionary<string, Tensor>
        {
            [AlphaOptimizer] = SavedParameters.Of(alphas.Optimizer),
            [PromptOptimizer] = SavedParameters.Of(prompts.Optimizer),
        };
        SavedParameters.Add(tensors, "alphas", [.. supernet.Alphas]);
        SavedParameters.Add(tensors, "prompts", [.. supernet.Prompts]);
        SavedParameters.Add(tensors, Good, good.Values);
        return new StageState(course.ToJson(), tensors);
    }

    private static void Restore(
        StageState saved,
        Supernet supernet,
        AlphaStep alphas,
        PromptStep prompts,
        GoodValues good,
        SearchCourse course
    )
    {
        SavedParameters.Restore([.. supernet.Alphas], saved.Tensors, "alphas");
        SavedParameters.Restore([.. supernet.Prompts], saved.Tensors, "prompts");
        SavedParameters.Restore(alphas.Optimizer, saved.Tensors[AlphaOptimizer]);
        SavedParameters.Restore(prompts.Optimizer, saved.Tensors[PromptOptimizer]);
        if (course.GoodEpochs > 0)
            good.Resume(course.GoodEpochs, SavedParameters.Read(supernet.Alphas.Count() + supernet.Prompts.Count(), saved.Tensors, Good));
    }

    private static BranchPair<IReadOnlyList<IReadOnlyList<float>>> Read(Supernet supernet) =>
        supernet.Branches.Select(branch => Rows(branch.Alphas));

    private static IReadOnlyList<IReadOnlyList<float>> Rows(Tensor alphas)
    {
        using var scope = NewDisposeScope();
        float[] values = alphas.detach().cpu().data<float>().ToArray();
        return values.Chunk((int)alphas.shape[1]).ToArray();
    }
}
