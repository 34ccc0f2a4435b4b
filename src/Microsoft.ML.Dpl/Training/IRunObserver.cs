namespace Microsoft.ML.Dpl.Training;

/// <summary>Which part of a run a report is about.</summary>
internal enum RunStage
{
    /// <summary>Alphas and candidate prompts, bilevel.</summary>
    Search,

    /// <summary>Prompts of the chosen lengths.</summary>
    Training,
}

/// <summary>Where a run stands after one step.</summary>
/// <param name="Stage">Search or training.</param>
/// <param name="Epoch">From 0.</param>
/// <param name="Epochs">In this stage.</param>
/// <param name="Step">Within the epoch, from 0.</param>
/// <param name="Steps">In an epoch.</param>
/// <param name="LearningRate">Of the prompts, in this epoch.</param>
/// <param name="TrainLoss">Of this step's training batch.</param>
/// <param name="ValidationLoss">Of this step's validation batch; null in training.</param>
/// <param name="ValidationAccuracy">0 to 1, after the last step of an epoch that was evaluated; else null.</param>
internal sealed record StepReport(
    RunStage Stage, int Epoch, int Epochs, int Step, int Steps, double LearningRate, double TrainLoss, double? ValidationLoss, double? ValidationAccuracy);

/// <summary>Hears of every step and may end the run before the next one.</summary>
internal interface IRunObserver
{
    /// <exception cref="OperationCanceledException">The run is to end now.</exception>
    void ThrowIfCancelled();

    void Report(StepReport report);
}
