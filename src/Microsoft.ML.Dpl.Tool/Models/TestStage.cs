using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>Tests a fitted model and what it is compared with. What goes wrong here takes nothing away from the fit: it is kept for
/// later.</summary>
/// <param name="sets">With test images.</param>
/// <param name="trials">Fits and tests the baselines.</param>
/// <param name="mode">How progress is shown.</param>
/// <param name="cancellationToken">Ends the tests.</param>
internal sealed class TestStage(ImageSets sets, Trials trials, ProgressMode mode, CancellationToken cancellationToken)
{
    /// <summary>Whether some test was not made because of a cancellation.</summary>
    public bool WasCancelled { get; private set; }

    /// <summary>What ended the tests otherwise; null: nothing did.</summary>
    public ExceptionDispatchInfo? Failure { get; private set; }

    /// <param name="results">Of the fit.</param>
    /// <param name="mlContext">Of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    /// <param name="skipUnreadable">Leave out images that cannot be read.</param>
    /// <param name="baselines">What else is fitted and tested.</param>
    /// <param name="optionsOf">The options of a fit, by the name and the lengths of a baseline.</param>
    /// <param name="keep">Given the results after each test.</param>
    /// <returns>The results with as much as there is of the tests.</returns>
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
