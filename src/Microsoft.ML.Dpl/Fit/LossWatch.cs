using System.Globalization;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>
/// Warns once per stage when the training loss shows that its steps are too large; all numbers stay finite, so no other check would notice.
/// Only the direction of a prompt matters, since the layer normalises it; short rows (small initial values, few columns) therefore turn far
/// in a step that hardly changes long ones (van Laarhoven 2017, arXiv 1706.05350).
/// </summary>
/// <param name="observer">Notified of every step first.</param>
/// <param name="settings">Settings of the fit.</param>
/// <param name="log">Receives the warning.</param>
internal sealed class LossWatch(IRunObserver observer, FitSettings settings, HostLog log) : IRunObserver
{
    private FitStage? _warned;

    public void ThrowIfCancelled() => observer.ThrowIfCancelled();

    public void Report(FitProgress now)
    {
        observer.Report(now);
        if (now.EndedEpoch is not { Trouble: not LossTrouble.None } epoch || _warned == now.Stage)
            return;
        // With a learned temperature, a loss at chance level usually recovers; only a stage that ends there has failed.
        if (settings.Training.Recipe == TrainingRecipe.Robust && !epoch.IsLast)
            return;
        _warned = now.Stage;
        string what =
            epoch.Trouble == LossTrouble.Chance
                ? string.Create(
                    CultureInfo.InvariantCulture,
                    $"of epochs {now.Epoch - 1} and {now.Epoch} is {epoch.TrainLoss:g3}, no better than guessing: the prompts drown out "
                        + $"images or class names, and no gradient leads back"
                )
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"of epoch {now.Epoch} is {epoch.TrainLoss:g3}, after {epoch.FirstTrainLoss:g3} in the first: the prompts "
                        + $"have become worse than untrained ones"
                );
        (string option, double rate, double? bound) =
            now.Stage == FitStage.Search
                ? ("Search.LearningRate", settings.Search!.LearningRate, settings.Search.MaxGradientNorm)
                : ("Training.LearningRate", settings.Training.LearningRate, settings.Training.MaxGradientNorm);
        string other = bound is null
            ? "bound the gradient (Training.MaxGradientNorm, for example 10)"
            : FormattableString.Invariant($"lower Training.MaxGradientNorm ({bound:g2})");
        log.Warning(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{now.Stage}: the mean training loss {what}. The steps are too large for this CLIP and these images: set {option} to "
                    + $"{rate / 3:g2} or less (it is {rate:g2}), or {other}."
            )
        );
    }
}
