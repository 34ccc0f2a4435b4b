using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>Tests a fitted model and the baselines it is compared with. A failure here does not lose the fit: the exception is stored and
/// can be rethrown later.</summary>
/// <param name="sets">The images, including test images.</param>
/// <param name="trials">Fits and tests the baselines.</param>
/// <param name="mode">How progress is shown.</param>
/// <param name="cancellationToken">Cancels the tests.</param>
internal sealed class TestStage(ImageSets sets, Trials trials, ProgressMode mode, CancellationToken cancellationToken)
{
    /// <summary>Whether a cancellation ended the tests early.</summary>
    public bool WasCancelled { get; private set; }

    /// <summary>The exception, other than a cancellation, that ended the tests; null if there was none.</summary>
    public ExceptionDispatchInfo? Failure { get; private set; }

    /// <param name="results">The results of the fit.</param>
    /// <param name="mlContext">The context of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    /// <param name="skipUnreadable">Whether images that cannot be read are left out.</param>
    /// <param name="baselines">The baselines to fit and test.</param>
    /// <param name="optionsOf">Returns the options for the fit of a baseline, given its name and prompt lengths.</param>
    /// <param name="keep">Called with the updated results after each test.</param>
    /// <returns>The results, extended by the tests that were completed.</returns>
    public FitResults Run(
        FitResults results,
        MLContext mlContext,
        DplTransformer transformer,
        bool skipUnreadable,
        IReadOnlyList<(string Name, PromptConfiguration Lengths)> baselines,
        Func<string, PromptConfiguration, DplTrainer.Options> optionsOf,
        Action<FitResults> keep
    )
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            long began = Stopwatch.GetTimestamp();
            (TestResults figures, _) = Evaluator.Evaluate(
                mlContext,
                transformer,
                sets.Test,
                skipUnreadable,
                mode,
                "test",
                cancellationToken
            );
            results = results with
            {
                Test = figures,
                Stages = [.. results.Stages, new StageCost("Test", Stopwatch.GetElapsedTime(began).TotalSeconds, RunRecord.Peak())],
            };
            keep(results);
            foreach (var (name, lengths) in baselines)
            {
                Trial trial = trials.Run(name, optionsOf(name, lengths));
                PairedDifference difference = PairedDifference.From(figures.Predictions, trial.Test.Predictions);
                var row = new ComparisonRow(
                    name,
                    trial.Test.Accuracy,
                    trial.Test.MacroAccuracy,
                    trial.Configuration,
                    difference,
                    trial.FitTime.TotalSeconds
                );
                results = results with { Comparison = [.. results.Comparison, row] };
                keep(results);
            }
        }
        catch (OperationCanceledException)
        {
            WasCancelled = true;
        }
        catch (Exception e)
        {
            Failure = ExceptionDispatchInfo.Capture(e);
        }
        return results;
    }
}
