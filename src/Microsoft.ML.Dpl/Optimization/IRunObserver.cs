using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The figures of an epoch that ended.</summary>
/// <param name="TrainLoss">Mean over the epoch's training batches.</param>
/// <param name="FirstTrainLoss">The same of the stage's first epoch, the warm-up.</param>
/// <param name="Trouble">What is wrong with the training losses of the epochs so far.</param>
/// <param name="ValidationLoss">Mean over the epoch's validation batches in the search, over all validation images in training; null
/// without any.</param>
/// <param name="ValidationAccuracy">0 to 1; null in the search and without validation images.</param>
/// <param name="DecidedLayers">Layers of both branches whose choice leads by the margin of the settings; null in training.</param>
/// <param name="LargestAlphaChange">The largest change of one alpha in this epoch; null in training.</param>
/// <param name="Alphas">[layer][candidate] of each branch at the end of the epoch, before the softmax; null in training.</param>
internal sealed record EpochReport(
    double TrainLoss,
    double FirstTrainLoss,
    LossTrouble Trouble,
    double? ValidationLoss,
    double? ValidationAccuracy,
    int? DecidedLayers,
    double? LargestAlphaChange,
    BranchPair<IReadOnlyList<IReadOnlyList<float>>>? Alphas
);

/// <summary>Where a run stands after one step.</summary>
/// <param name="Stage">Search or training.</param>
/// <param name="Epoch">The epoch, from 0.</param>
/// <param name="Epochs">The number of epochs in this stage.</param>
/// <param name="Step">The step within the epoch, from 0.</param>
/// <param name="Steps">The number of steps in an epoch.</param>
/// <param name="LearningRate">The prompts' learning rate in this epoch.</param>
/// <param name="TrainLoss">The loss of this step's training batch, in nats.</param>
/// <param name="ValidationLoss">The loss of this step's validation batch, in nats; null in training.</param>
/// <param name="ValidationAccuracy">0 to 1, after the last step of an epoch that was evaluated; else null.</param>
/// <param name="Ended">The epoch that this step ended; else null.</param>
internal sealed record StepReport(
    DplStage Stage,
    int Epoch,
    int Epochs,
    int Step,
    int Steps,
    double LearningRate,
    double TrainLoss,
    double? ValidationLoss,
    double? ValidationAccuracy,
    EpochReport? Ended
);

/// <summary>Receives every step, and may end the run before the next one.</summary>
internal interface IRunObserver
{
    /// <exception cref="OperationCanceledException">The run is to end now.</exception>
    void ThrowIfCancelled();

    void Report(StepReport report);
}
