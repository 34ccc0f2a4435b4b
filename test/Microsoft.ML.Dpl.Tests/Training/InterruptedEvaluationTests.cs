using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>A run can also be cancelled between the batches of an epoch's evaluation.</summary>
public sealed class InterruptedEvaluationTests
{
    private const int Epochs = 3;

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    public void It_goes_on_with_that_evaluation_and_takes_no_step_twice(int epoch, int batch)
    {
        using var scope = NewDisposeScope();
        using var trainable = new TrainableClip();
        int steps = trainable.Train.BatchesPerEpoch,
            looks = 0;
        int end = epoch * steps + (epoch - 1) * trainable.Validation.BatchesPerEpoch + batch;
        BranchPair<FixedBranch> prompts = trainable.Branches();
        BranchPair<FixedBranch> uninterrupted = prompts.Select(branch => new FixedBranch(branch.Rows, CPU));
        using var kept = new KeptStage();
        using (prompts.Text)
        using (prompts.Image)
        using (uninterrupted.Text)
        using (uninterrupted.Image)
        {
            Run(trainable, uninterrupted, new TrainingState(), checkpoints: null);

            // Called once before every step, and once before every batch of an evaluation.
            void Cancel()
            {
                if (looks++ == end)
                    throw new OperationCanceledException();
            }
            var state = new TrainingState();
            Assert.Throws<OperationCanceledException>(() => Run(trainable, prompts, state, kept, Cancel));
            Assert.Equal((epoch - 1, steps), (state.Epochs.Count, state.Step));
            TrainingState saved = TrainingState.FromJson(kept.Saved!.State);
            Assert.Equal((epoch - 1, steps, state.TrainLoss), (saved.Epochs.Count, saved.Step, saved.TrainLoss));

            int before = trainable.Train.Reads;
            Run(trainable, prompts, saved, kept);
            Assert.Equal((Epochs - epoch) * steps, trainable.Train.Reads - before);
            foreach (var (whole, resumed) in new[] { (uninterrupted.Text, prompts.Text), (uninterrupted.Image, prompts.Image) })
                for (int i = 0; i < whole.Parameters.Count; i++)
                    TensorAssert.BitEqual(whole.Parameters[i].detach(), resumed.Parameters[i].detach());
        }
    }

    private static void Run(
        TrainableClip trainable,
        BranchPair<FixedBranch> prompts,
        TrainingState state,
        IStageCheckpoints? checkpoints,
        Action? before = null
    )
    {
        var settings = new TrainingSettings { Epochs = Epochs, LearningRate = 0.02 };
        new PromptTraining(trainable.Clip, settings, new StepRecorder { Before = before ?? (() => { }) }).Run(
            prompts,
            trainable.Train,
            trainable.Validation,
            state,
            checkpoints
        );
    }
}
