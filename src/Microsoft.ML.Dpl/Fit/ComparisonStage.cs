using System.Globalization;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>A configuration that a comparison trains for a short time.</summary>
/// <param name="Configuration">The prompt lengths; for a mixture, in each layer that of the candidate with the largest weight.</param>
/// <param name="IsMixture">Whether it is the searched mixture, which continues from the search instead of starting with new
/// prompts.</param>
internal sealed record Contender(PromptConfiguration Configuration, bool IsMixture = false);

/// <summary>
/// Compares configurations by short trainings on the training images; the one with the lowest validation loss wins. With few images the
/// loss is more informative than the accuracy, which for 32 images moves in steps of 3 points.
/// </summary>
/// <param name="fit">The prepared data, CLIP and settings.</param>
/// <param name="watch">Notified after every step; may cancel.</param>
internal sealed class ComparisonStage(PreparedFit fit, IRunObserver watch)
{
    // The same for every contender, since all use the same batches.
    private ZeroShotStart? _zeroShot;

    /// <summary>Runs the comparison, from a checkpoint if there is one.</summary>
    /// <param name="contenders">The configurations to compare, without duplicates.</param>
    /// <param name="searched">The result of the search, for checkpoints; null without a search.</param>
    /// <param name="checkpoints">Where the state is saved; null: it is not.</param>
    /// <returns>One result per contender.</returns>
    /// <exception cref="OperationCanceledException">The observer cancelled the run.</exception>
    /// <exception cref="NonFiniteValueException">A loss or a gradient became infinite or NaN.</exception>
    public IReadOnlyList<Finalist> Run(IReadOnlyList<Contender> contenders, SearchStageResult? searched, FitCheckpoints? checkpoints)
    {
        List<Finalist> done = [.. checkpoints?.FoundFinalists() ?? []];
        using IDisposable? rounding = fit.AllowRounding();
        while (done.Count < contenders.Count)
        {
            Finalist finalist = Train(contenders, done.Count, searched, checkpoints?.ForComparison(searched, [.. done]));
            done.Add(finalist);
            fit.Log.Info(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Comparison: {finalist}: validation loss {finalist.ValidationLoss:f3}, accuracy "
                        + $"{finalist.ValidationAccuracy:p1}."
                )
            );
        }
        return done;
    }

    private Finalist Train(IReadOnlyList<Contender> contenders, int index, SearchStageResult? searched, IStageCheckpoints? checkpoints)
    {
        Contender contender = contenders[index];
        FitSettings settings = fit.Settings;
        TrainingState state = checkpoints?.Saved is { } saved ? TrainingState.FromJson(saved.State) : new TrainingState();
        using var prompts = new TrainingStageResult(
            contender.IsMixture ? searched!.Prompts.CopyMixture(fit.Device) : fit.FreshPrompts(contender.Configuration, "training")
        );
        using TrainFeed train = fit.TrainingFeed("training batches");
        TrainingSettings training = settings.Comparison!.Training.Over(train.Source.BatchesPerEpoch);
        // Contenders are compared at the temperature that the winner is trained at.
        using Temperature? temperature = training.Recipe == TrainingRecipe.Robust ? new Temperature(1, fit.Device) : null;
        IBatchSource validation = fit.Validation!.InOrder(settings.PredictionBatchSize, fit.Device);
        if (temperature is not null)
        {
            _zeroShot ??= state.ZeroShot ?? ZeroShotStart.Measure(fit.Clip, train.Source, validation: null, watch);
            state.ZeroShot = _zeroShot;
            temperature.Set(contender.IsMixture ? searched!.Temperature : state.ZeroShot.Temperature);
        }
        fit.LogResumption(checkpoints, FitStage.Comparison, state.Epochs.Count, state.Step, state.ReasonToEnd(training));
        new PromptTraining(fit.Clip, training, new Part(watch, index, contenders.Count)).Run(
            prompts.Prompts.Passes,
            train.Source,
            validation: null,
            state,
            checkpoints,
            temperature,
            () => fit.TeachersOf(training.Beside)
        );
        Evaluation evaluation = Evaluation.Compute(fit.Clip, prompts.Prompts.Passes, validation, watch, temperature?.Value ?? 1);
        evaluation.RequireFinite(state.Epochs.Count - 1, train.Source.BatchesPerEpoch - 1);
        return new Finalist
        {
            Configuration = contender.Configuration,
            IsMixture = contender.IsMixture,
            ValidationLoss = evaluation.Loss,
            ValidationAccuracy = evaluation.Accuracy,
            TrainLoss = state.Epochs[^1].TrainLoss,
        };
    }

    /// <summary>Numbers the epochs of all contenders consecutively.</summary>
    private sealed class Part(IRunObserver observer, int index, int count) : IRunObserver
    {
        public void ThrowIfCancelled() => observer.ThrowIfCancelled();

        public void Report(FitProgress now) =>
            observer.Report(
                new FitProgress(now)
                {
                    Stage = FitStage.Comparison,
                    Epoch = index * now.Epochs + now.Epoch,
                    Epochs = count * now.Epochs,
                }
            );
    }
}
