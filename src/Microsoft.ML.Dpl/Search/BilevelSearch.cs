using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The first stage: for each training batch an alpha step on a validation batch, then a prompt step (METHOD: first-order bilevel
/// optimisation as in DARTS).</summary>
/// <param name="clip">The model.</param>
/// <param name="settings">Settings of the search.</param>
/// <param name="observer">Notified after every step; may cancel the search.</param>
/// <param name="teachers">Computes the reference models of the regularisers, which are not owned, unless no step is left. Null: zero-shot
/// CLIP, if the settings need one, computed for every batch.</param>
internal sealed class BilevelSearch(PromptedClip clip, SearchSettings settings, IRunObserver observer, Func<Teachers?>? teachers = null)
{
    private const string AlphaOptimizer = "optimizer.alphas",
        PromptOptimizer = "optimizer.prompts",
        Good = "good";

    /// <param name="supernet">The alphas and prompts to search, modified in place.</param>
    /// <param name="train">Training batches; every epoch uses all of them.</param>
    /// <param name="validation">Validation batches, read in turn, one per training batch; their epochs count from 0.</param>
    /// <param name="state">Progress of the search; updated after every step.</param>
    /// <param name="checkpoints">Checkpoint to resume from and place to save new ones; null: none.</param>
    /// <exception cref="NonFiniteValueException">The loss or a gradient became infinite or NaN; the supernet is restored to the latest good
    /// epoch, if there is one.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    public void Run(
        Supernet supernet,
        IBatchSource train,
        IBatchSource validation,
        SearchState state,
        IStageCheckpoints? checkpoints = null
    )
    {
        using var alphaStep = new AlphaStep(clip, supernet, settings);
        using var good = new GoodValues([.. supernet.Alphas, .. supernet.PromptsAndTemperature]);
        var initial = Read(supernet);
        IEnumerable<IReadOnlyList<float>> before = state.Epochs.Count > 0 ? state.Epochs[^1].Layers : initial.Text.Concat(initial.Image);
        int steps = train.BatchesPerEpoch;
        double Done(long taken) => taken / ((double)settings.Epochs * steps);
        // The sharpness of the last step taken, with which the alphas of that step are reported.
        void SharpenAfter(long taken) => supernet.Sharpen(settings.SharpnessAt(Done(Math.Max(0, taken - 1))));
        SavedStage? saved = checkpoints?.Saved;
        if (saved is not null)
        {
            Restore(saved, supernet, alphaStep, good, state);
            SharpenAfter((long)state.Epochs.Count * steps + state.Step);
        }
        if (state.ReasonToEnd(settings) is not null)
            return;
        // Teachers can take long, and a search that is cancelled meanwhile has the restored alphas and prompts to return.
        using var promptStep = new PromptStep(clip, supernet, settings, teachers?.Invoke());
        if (saved is not null)
            SavedParameters.Restore(promptStep.Optimizer, saved.Tensors[PromptOptimizer]);
        var schedule = new CheckpointSchedule(observer, checkpoints);
        while (state.ReasonToEnd(settings) is null)
        {
            schedule.BeforeStep(state.Step == 0, () => Snapshot(supernet, alphaStep, promptStep, good, state));
            int epoch = state.Epochs.Count,
                step = state.Step;
            // Each training batch is paired with one validation batch, so the index of the latter follows from the steps taken.
            long taken = (long)epoch * steps + step;
            double rate = promptStep.SetRate(epoch, settings.Epochs, step, steps);
            supernet.Sharpen(settings.SharpnessAt(Done(taken)));
            alphaStep.SetLearningRate(settings.AlphaLearningRateAt(Done(taken)));
            if (settings.SinglePath)
                supernet.DrawPath(Seeds.Random(settings.Seed, "path", epoch, step));
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
            catch (NonFiniteValueException e)
            {
                (e.LossBefore, e.LearningRate, e.HasGoodValues) = (state.RecentLoss(), rate, good.Epochs > 0);
                good.Restore();
                SharpenAfter((long)good.Epochs * steps);
                throw;
            }
            good.Confirm();
            state.GoodEpochs = good.Epochs;
            state.Add(lower, upper);
            EpochMetrics? ended = null;
            if (state.Step == steps)
            {
                SearchEpoch now = state.EndEpoch(rate, Read(supernet));
                ended = new EpochMetrics
                {
                    TrainLoss = now.TrainLoss,
                    FirstTrainLoss = state.Epochs[0].TrainLoss,
                    Trouble = state.Trouble(clip.Texts.Count),
                    IsLast = state.ReasonToEnd(settings) is not null,
                    ValidationLoss = now.ValidationLoss,
                    DecidedLayers = AlphaWeights.Leads(now.Layers).Count(lead => lead >= settings.Margin),
                    LargestAlphaChange = AlphaWeights.LargestChange(before, now.Layers),
                    TextAlphas = now.TextAlphas,
                    ImageAlphas = now.ImageAlphas,
                };
                before = now.Layers;
            }
            observer.Report(
                new FitProgress
                {
                    Stage = FitStage.Search,
                    Epoch = epoch + 1,
                    Epochs = settings.Epochs,
                    Step = step + 1,
                    Steps = steps,
                    LearningRate = rate,
                    TrainLoss = lower,
                    ValidationLoss = upper,
                    EndedEpoch = ended,
                }
            );
        }
    }

    private static SavedStage Snapshot(Supernet supernet, AlphaStep alphas, PromptStep prompts, GoodValues good, SearchState state)
    {
        var tensors = new Dictionary<string, Tensor>
        {
            [AlphaOptimizer] = SavedParameters.From(alphas.Optimizer),
            [PromptOptimizer] = SavedParameters.From(prompts.Optimizer),
        };
        SavedParameters.Add(tensors, "alphas", [.. supernet.Alphas]);
        SavedParameters.Add(tensors, "prompts", [.. supernet.PromptsAndTemperature]);
        SavedParameters.Add(tensors, Good, good.Values);
        return new SavedStage(state.ToJson(), tensors);
    }

    private static void Restore(SavedStage saved, Supernet supernet, AlphaStep alphas, GoodValues good, SearchState state)
    {
        SavedParameters.Restore([.. supernet.Alphas], saved.Tensors, "alphas");
        SavedParameters.Restore([.. supernet.PromptsAndTemperature], saved.Tensors, "prompts");
        SavedParameters.Restore(alphas.Optimizer, saved.Tensors[AlphaOptimizer]);
        if (state.GoodEpochs > 0)
            good.Resume(
                state.GoodEpochs,
                SavedParameters.Read(supernet.Alphas.Count() + supernet.PromptsAndTemperature.Count(), saved.Tensors, Good)
            );
    }

    private static BranchPair<IReadOnlyList<IReadOnlyList<float>>> Read(Supernet supernet) => supernet.Branches.Select(Rows);

    private static IReadOnlyList<IReadOnlyList<float>> Rows(SupernetBranch branch)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor alphas = branch.AllAlphas();
        float[] values = alphas.Times(branch.Sharpness).cpu().data<float>().ToArray();
        return values.Chunk((int)alphas.shape[1]).ToArray();
    }
}
