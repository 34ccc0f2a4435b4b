using System.Text;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>A completed epoch.</summary>
/// <param name="Stage">Search, comparison or training.</param>
/// <param name="Epoch">One-based number of the epoch within its stage.</param>
/// <param name="LearningRate">Learning rate of the prompts.</param>
/// <param name="Figures">Losses and accuracy of the epoch.</param>
/// <param name="Elapsed">Time since the stage began.</param>
/// <param name="PeakBytes">The process's largest resident set up to then, in bytes.</param>
internal sealed record FittedEpoch(FitStage Stage, int Epoch, double LearningRate, EpochMetrics Figures, TimeSpan Elapsed, long PeakBytes);

/// <summary>Runs fits on one data set, shows their progress and records their epochs for the results.</summary>
internal sealed class FitSession
{
    private readonly DplTrainer.Options _options;
    private readonly ProgressMode _mode;
    private readonly string? _tensorBoard,
        _workspace;
    private readonly string _data;
    private readonly Lock _lock = new();
    private readonly List<string> _warnings = [];
    private EpochLog _epochs = EpochLog.Open(workspace: null);

    /// <param name="options">The trainer's options except data and progress, which are set here.</param>
    /// <param name="sets">The images.</param>
    /// <param name="hasWeights">Whether rows have weights of their own.</param>
    /// <param name="mode">How progress is shown.</param>
    /// <param name="verbose">Whether the library's informational messages are shown, too.</param>
    /// <param name="tensorBoard">Folder for TensorBoard's event files, with a subfolder for each fit's name; null: none are
    /// written.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="InvalidDataException">There are no training images.</exception>
    public FitSession(
        DplTrainer.Options options,
        ImageSets sets,
        bool hasWeights,
        ProgressMode mode,
        bool verbose,
        string? tensorBoard = null
    )
    {
        MLContext = new MLContext(options.Seed);
        if (sets.Train.Count == 0)
            throw new InvalidDataException($"'{sets.Source}' has no training images.");
        (_options, _mode, _tensorBoard, _workspace, _data) = (options, mode, tensorBoard, options.Compute.WorkspacePath, NameOf(sets));
        // Keeps a finished fit in the workspace until its results are written: see Forget.
        options.Compute.WorkspacePerDataSet = _workspace is not null;
        Forward(MLContext, verbose, Keep);
        Train = MLContext.Data.LoadFromEnumerable(sets.Train);
        options.ImageColumnName = nameof(ImageRow.ImagePath);
        if (hasWeights)
            options.ExampleWeightColumnName = nameof(ImageRow.Weight);
        if (sets.Validation.Count > 0)
            options.Validation.Set = MLContext.Data.LoadFromEnumerable(sets.Validation);
        // Only validates the options; the trainer that is used is created once the progress display exists.
        MLContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    public MLContext MLContext { get; }

    /// <summary>The training images.</summary>
    public IDataView Train { get; }

    /// <summary>The epochs of the last fit, in order.</summary>
    public IReadOnlyList<FittedEpoch> Epochs => _epochs.Epochs;

    /// <summary>The library's warnings so far, as shown on the terminal.</summary>
    public IReadOnlyList<string> Warnings
    {
        get
        {
            lock (_lock)
                return [.. _warnings];
        }
    }

    /// <summary>Searches unless a configuration is given, and trains. The caller disposes the model.</summary>
    /// <param name="name">Name shown with the progress.</param>
    public DplTransformer Fit(string name) => Run(name, trainer => trainer.Fit(Train));

    /// <summary>Searches only.</summary>
    /// <param name="name">Name shown with the progress.</param>
    public SearchOutcome Search(string name) => Run(name, trainer => trainer.Search(Train));

    /// <summary>Deletes the last fit's folder in the workspace, so that the same command starts over once its results are
    /// written.</summary>
    public void Forget()
    {
        if (string.IsNullOrWhiteSpace(_workspace) || !Directory.Exists(_options.Compute.WorkspacePath))
            return;
        try
        {
            Directory.Delete(_options.Compute.WorkspacePath, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Terminal.Warn(
                $"'{_options.Compute.WorkspacePath}' could not be removed: {e.Message.TrimEnd('.')}. Until it is, the same command "
                    + "takes its result from there."
            );
        }
    }

    /// <summary>Shows the library's warnings on the error stream, and optionally its informational messages.</summary>
    /// <param name="mlContext">The context whose log is shown.</param>
    /// <param name="verbose">Whether informational messages are shown, too.</param>
    /// <param name="warned">Receives each warning as it is shown; may be null.</param>
    public static void Forward(MLContext mlContext, bool verbose, Action<string>? warned = null) =>
        mlContext.Log += (_, e) =>
        {
            if (!e.Source.Contains("Dpl", StringComparison.Ordinal) && !e.Source.Contains("Clip", StringComparison.Ordinal))
                return;
            if (e.Kind == ChannelMessageKind.Warning)
            {
                string warning = TrainerOptionNames.InWords(e.RawMessage);
                Terminal.Warn(warning);
                warned?.Invoke(warning);
            }
            else if (verbose && e.Kind == ChannelMessageKind.Info)
                Terminal.Note(e.RawMessage);
        };

    private void Keep(string warning)
    {
        // Images are read by several threads, and any of them may warn.
        lock (_lock)
            _warnings.Add(warning);
    }

    private T Run<T>(string name, Func<DplTrainer, T> run)
    {
        // Each fit gets its own subfolder of the user's folder, so that it can be removed as a whole.
        if (!string.IsNullOrWhiteSpace(_workspace))
            _options.Compute.WorkspacePath = Path.Combine(_workspace, $"{FolderOf(name)}-{_data}");
        _epochs = EpochLog.Open(_options.Compute.WorkspacePath);
        return FitDisplay.Show(
            _mode,
            name,
            _options.Training.BatchSize ?? DplTrainer.TrainingOptions.DefaultBatchSize(_options.Training.Recipe),
            display =>
            {
                var recorder = new Recorder(display, _epochs);
                using TensorBoardProgress? board = _tensorBoard is null
                    ? null
                    : OpenBoard(Path.Combine(_tensorBoard, FolderOf(name)), recorder);
                _options.Progress = board ?? (IProgress<FitProgress>)recorder;
                try
                {
                    return run(MLContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(_options));
                }
                finally
                {
                    if (board?.Failure is { } failure)
                        Terminal.Warn($"Not all of TensorBoard's events could be written to '{board.EventFilePath}': {failure.Message}");
                }
            }
        );
    }

    private TensorBoardProgress OpenBoard(string folder, IProgress<FitProgress> next)
    {
        // A fit resumed from its workspace belongs to the existing events.
        if (
            _options.Compute.WorkspacePath is null
            && Directory.Exists(folder)
            && Directory.EnumerateFiles(folder, "events.out.tfevents.*").Any()
        )
            Terminal.Warn(
                $"'{folder}' has the events of another fit, and TensorBoard draws both as one. Give each fit a folder of its own with "
                    + "--tensorboard."
            );
        return new TensorBoardProgress(folder, next);
    }

    /// <summary>Turns a name into a folder name: characters that a file system may not accept become hyphens.</summary>
    private static string FolderOf(string name) => string.Concat(name.Select(c => char.IsLetterOrDigit(c) ? c : '-'));

    /// <summary>A name for the images, so that a workspace can hold fits of several data sets.</summary>
    private static string NameOf(ImageSets sets) =>
        Sha256.Compute(
            Encoding.UTF8.GetBytes(string.Join('\n', sets.Train.Concat(sets.Validation).Select(row => $"{row.ImagePath}\t{row.Label}")))
        )[..8];

    private sealed class Recorder(IProgress<FitProgress> display, EpochLog epochs) : IProgress<FitProgress>
    {
        public void Report(FitProgress value)
        {
            epochs.Report(value);
            display.Report(value);
        }
    }
}
