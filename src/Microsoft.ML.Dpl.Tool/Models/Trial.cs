using System.Diagnostics;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>What a configuration came to.</summary>
/// <param name="Name">As the user named it.</param>
/// <param name="Configuration">Given, or found by its search.</param>
/// <param name="Test">Its figures on the test images.</param>
/// <param name="ValidationAccuracy">0 to 1; null without validation rows.</param>
/// <param name="FitTime">What search and training took.</param>
internal sealed record Trial(
    string Name,
    PromptConfiguration Configuration,
    TestResults Test,
    double? ValidationAccuracy,
    TimeSpan FitTime
);

/// <summary>Fits and tests configurations, each on the same images.</summary>
/// <param name="sets">With test images.</param>
/// <param name="besideSearch">Whether they are compared with a search.</param>
/// <param name="hasWeights">Whether rows have weights of their own.</param>
/// <param name="mode">How progress is shown.</param>
/// <param name="verbose">Whether the library's notes are shown, too.</param>
/// <param name="tensorBoard">Folder for TensorBoard's events; null: none are written.</param>
internal sealed class Trials(ImageSets sets, bool besideSearch, bool hasWeights, ProgressMode mode, bool verbose, string? tensorBoard)
{
    private readonly List<(string Name, FitSession Session)> _sessions = [];

    /// <summary>What the library warned of in the fits and tests so far, each warning after the configuration's name.</summary>
    public IEnumerable<string> Warnings =>
        _sessions.SelectMany(trial => trial.Session.Warnings.Select(warning => $"{trial.Name}: {warning}"));

    /// <summary>Looks at options that will be tried, before the first of several is.</summary>
    /// <exception cref="ArgumentException">One is out of range, or the configuration does not fit the CLIP.</exception>
    public void Check(DplTrainer.Options options)
    {
        SetAside(options);
        _ = new FitSession(options, sets, hasWeights, mode, verbose);
    }

    /// <param name="name">As the user named the configuration.</param>
    /// <param name="options">Whose configuration is tried; their token ends it.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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

    /// <summary>Removes what the workspace keeps of all of them, see <see cref="FitSession.Forget"/>.</summary>
    public void Forget()
    {
        foreach (var (_, session) in _sessions)
            session.Forget();
    }

    /// <summary>A search sets images aside by itself: what it is compared with must not train on them either, and patience and a
    /// calibration need them.</summary>
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
