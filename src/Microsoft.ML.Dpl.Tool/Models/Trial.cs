using System.Diagnostics;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>The results of one configuration.</summary>
/// <param name="Name">The configuration's name as the user gave it.</param>
/// <param name="Configuration">The prompt lengths that were given, or found by the search.</param>
/// <param name="Test">Results on the test images.</param>
/// <param name="ValidationAccuracy">Validation accuracy, 0 to 1; null without validation rows.</param>
/// <param name="FitTime">Wall-clock time of search and training.</param>
internal sealed record Trial(
    string Name,
    PromptConfiguration Configuration,
    TestResults Test,
    double? ValidationAccuracy,
    TimeSpan FitTime
);

/// <summary>Fits and tests configurations, each on the same images.</summary>
/// <param name="sets">The images, including test images.</param>
/// <param name="besideSearch">Whether one of the compared configurations is searched.</param>
/// <param name="hasWeights">Whether rows have weights of their own.</param>
/// <param name="mode">How progress is shown.</param>
/// <param name="verbose">Whether the library's informational messages are shown, too.</param>
/// <param name="tensorBoard">Folder for TensorBoard's event files; null: none are written.</param>
internal sealed class Trials(ImageSets sets, bool besideSearch, bool hasWeights, ProgressMode mode, bool verbose, string? tensorBoard)
{
    private readonly List<(string Name, FitSession Session)> _sessions = [];

    /// <summary>The library's warnings in all fits and tests so far, each prefixed with the configuration's name.</summary>
    public IEnumerable<string> Warnings =>
        _sessions.SelectMany(trial => trial.Session.Warnings.Select(warning => $"{trial.Name}: {warning}"));

    /// <summary>Validates options that will be tried later, so that an invalid one is found before the first fit.</summary>
    /// <exception cref="ArgumentException">An option is out of range, or the configuration does not fit the CLIP.</exception>
    public void Check(DplTrainer.Options options)
    {
        SetAside(options);
        _ = new FitSession(options, sets, hasWeights, mode, verbose);
    }

    /// <param name="name">The configuration's name as the user gave it.</param>
    /// <param name="options">The options of the fit, with the configuration to try and the cancellation token.</param>
    /// <exception cref="OperationCanceledException">The fit or the test was cancelled.</exception>
    public Trial Run(string name, DplTrainer.Options options)
    {
        SetAside(options);
        long began = Stopwatch.GetTimestamp();
        var session = new FitSession(options, sets, hasWeights, mode, verbose, tensorBoard);
        _sessions.Add((name, session));
        using DplTransformer transformer = session.Fit(name);
        TimeSpan time = Stopwatch.GetElapsedTime(began);
        (TestResults test, _) = Evaluator.Evaluate(
            session.MLContext,
            transformer,
            sets.Test,
            options.Images.SkipUnreadable,
            mode,
            $"{name}, test",
            options.CancellationToken
        );
        return new Trial(name, transformer.Configuration, test, transformer.ValidationAccuracy, time);
    }

    /// <summary>Deletes the folders of all fits in the workspace, see <see cref="FitSession.Forget"/>.</summary>
    public void Forget()
    {
        foreach (var (_, session) in _sessions)
            session.Forget();
    }

    /// <summary>Sets validation images aside: a search does so by itself, so whatever it is compared with must not train on those images
    /// either, and early stopping and calibration need them.</summary>
    private void SetAside(DplTrainer.Options options)
    {
        if (options.Configuration is not { } lengths || sets.Validation.Count > 0)
            return;
        if (lengths.IsZeroShot && options.Design.Context is null && options.Design.TaskResidual is not > 0)
            (options.Training.Patience, options.Validation.Calibrate) = (null, false);
        else if (
            (besideSearch || options.Training.Patience is not null || options.Validation.Calibrate) && options.Validation.Fraction is null
        )
            options.Validation.RowsPerClass ??= DplTrainer.ValidationOptions.DefaultRowsPerClass;
    }
}
