using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Where and how often a fit saves checkpoints.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Interval">Longest time between two checkpoints within an epoch; there is also one between epochs.</param>
/// <param name="PerDataSet">Whether every data set has its own sub-folder, in which finished fits are kept.</param>
internal sealed record WorkspaceSettings(string Path, TimeSpan Interval, bool PerDataSet);

/// <summary>
/// The checkpoints of one fit: saved while it runs, resumed from if it was interrupted, and removed when it ends, unless the workspace
/// keeps the fits of every data set.
/// </summary>
internal sealed class FitCheckpoints : IDisposable
{
    private const string StageName = "stage",
        StateName = "state",
        FingerprintName = "fingerprint",
        SearchedName = "searched",
        TemperatureName = "searched.temperature",
        FinalistsName = "finalists";
    private const string SearchedImage = "searched.image",
        SearchedText = "searched.text",
        SearchedContext = "searched.context",
        SearchedResidual = "searched.residual",
        MixtureName = "searched.mixture";

    private readonly CheckpointFolder _folder;
    private readonly WorkspaceSettings _settings;
    private readonly HostLog _log;
    private Checkpoint? _found;
    private string _fingerprint = "";

    private FitCheckpoints(CheckpointFolder folder, WorkspaceSettings settings, HostLog log) =>
        (_folder, _settings, _log) = (folder, settings, log);

    /// <summary>Locks the folder and checks that it can be written, before anything is read or computed.</summary>
    /// <param name="settings">Where and how often to save.</param>
    /// <param name="parameters">Largest number of parameters that the fit learns.</param>
    /// <param name="log">Receives warnings of damaged checkpoints and write failures.</param>
    /// <exception cref="IOException">The folder cannot be used.</exception>
    public static FitCheckpoints Open(WorkspaceSettings settings, long parameters, HostLog log)
    {
        // Values, their two averages, best values and the search's prompts; two checkpoints and one being written; some room for texts.
        long bytes = parameters * sizeof(float) * 5 * 3 + (1 << 20);
        return new FitCheckpoints(CheckpointFolder.Open(settings.Path, bytes), settings, log);
    }

    /// <summary>Looks for the checkpoint of an interrupted fit.</summary>
    /// <param name="fingerprint">Fingerprint of the current fit.</param>
    /// <exception cref="InvalidOperationException">There is a checkpoint of a different fit; the message says what differs.</exception>
    /// <exception cref="InvalidDataException">There are checkpoints, but none can be read.</exception>
    /// <exception cref="IOException">The data set's sub-folder cannot be created.</exception>
    public void Find(FitFingerprint fingerprint)
    {
        _fingerprint = fingerprint.ToJson();
        if (_settings.PerDataSet)
            _folder.Enter(fingerprint.DataName);
        _found = _folder.ReadLatest(_log.Warning);
        if (_found is null)
            return;
        FitFingerprint earlier = FitFingerprint.FromJson(_found.Texts[FingerprintName]);
        IReadOnlyList<string> differences = fingerprint.DifferencesFrom(earlier);
        if (differences.Count > 0)
        {
            string folds = fingerprint.DiffersInDataOnly(earlier)
                ? " For several data sets, such as the folds of a cross-validation, set Compute.WorkspacePerDataSet."
                : "";
            throw new InvalidOperationException(
                $"The workspace '{_folder.FullPath}' holds the checkpoint of another fit: {string.Join("; ", differences)}. Fit as "
                    + $"before to continue it, choose another Compute.WorkspacePath, or delete the folder's checkpoints to start "
                    + $"over.{folds}"
            );
        }
        if (fingerprint.OtherThreads(earlier) is var (before, now))
            _log.Warning(
                $"The interrupted fit ran with {before} threads, but this one runs with {now}: it continues, but its results may differ in "
                    + $"the last bits from those of an uninterrupted fit. For identical bits, set OMP_NUM_THREADS={before}."
            );
    }

    /// <summary>The result of a search that an earlier fit finished, or null if there is none. The caller owns it.</summary>
    /// <param name="device">The device of the prompts.</param>
    /// <param name="context">How their context is placed in a text; null without a context.</param>
    /// <param name="residualScale">α of their residual; null without a residual.</param>
    public SearchStageResult? FoundSearch(Device device, ContextLayout? context, double? residualScale)
    {
        if (_found is null || !_found.Texts.TryGetValue(SearchedName, out string? json))
            return null;
        SearchReport report = JsonSerializer.Deserialize<SearchReport>(json, CheckpointFile.Json)!;
        FixedBranch Branch(string prefix, IReadOnlyList<int> lengths) =>
            new([.. lengths.Select((length, layer) => length == 0 ? null : _found.Tensors[$"{prefix}.{layer}"])], device);
        InputContext? learned = context is null ? null : new InputContext(context, _found.Tensors[SearchedContext], device);
        TaskResidual? residual = residualScale is double scale ? new TaskResidual(_found.Tensors[SearchedResidual], scale, device) : null;
        PromptSet prompts = _found.Texts.TryGetValue(MixtureName, out string? mixture)
            ? new PromptSet(Mixed(JsonSerializer.Deserialize<MixtureWeights>(mixture, CheckpointFile.Json)!, device), learned, residual)
            : new PromptSet(
                new BranchPair<IFixedBranch>(
                    Text: Branch(SearchedText, report.Configuration.Text),
                    Image: Branch(SearchedImage, report.Configuration.Image)
                ),
                learned,
                residual
            );
        double temperature = double.Parse(_found.Texts[TemperatureName], CultureInfo.InvariantCulture);
        return new SearchStageResult(report, prompts, StageEnd.Whole, temperature);
    }

    private BranchPair<MixtureBranch> Mixed(MixtureWeights mixture, Device device)
    {
        MixtureBranch Branch(string prefix, IReadOnlyList<IReadOnlyList<float>> weights) =>
            TrainedMixture.Branch(mixture.Candidates, SavedParameters.Read(weights.Count, _found!.Tensors, prefix), weights, device);
        return new(Text: Branch(SearchedText, mixture.Text), Image: Branch(SearchedImage, mixture.Image));
    }

    /// <summary>The weights of a searched mixture, whose rows are among the tensors.</summary>
    private sealed record MixtureWeights(
        IReadOnlyList<int> Candidates,
        IReadOnlyList<IReadOnlyList<float>> Text,
        IReadOnlyList<IReadOnlyList<float>> Image
    );

    /// <summary>The contenders that an earlier fit finished.</summary>
    public IReadOnlyList<Finalist> FoundFinalists() =>
        _found is not null && _found.Texts.TryGetValue(FinalistsName, out string? json)
            ? JsonSerializer.Deserialize<Finalist[]>(json, CheckpointFile.Json)!
            : [];

    public IStageCheckpoints ForSearch() => new Stage(this, FitStage.Search, null, []);

    /// <param name="searched">The result of the search, saved with the state so that the checkpoint of the search need not be kept. Null
    /// without a search.</param>
    /// <param name="done">The contenders that need not be trained again.</param>
    public IStageCheckpoints ForComparison(SearchStageResult? searched, IReadOnlyList<Finalist> done) =>
        new Stage(this, FitStage.Comparison, searched, done);

    /// <inheritdoc cref="ForComparison"/>
    public IStageCheckpoints ForTraining(SearchStageResult? searched, IReadOnlyList<Finalist> done) =>
        new Stage(this, FitStage.Training, searched, done);

    /// <summary>Removes the checkpoints of a finished fit, unless the workspace keeps the fits of every data set.</summary>
    public void Finish()
    {
        if (_settings.PerDataSet)
            return;
        try
        {
            _folder.Clear();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _log.Warning(
                $"The checkpoints in '{_folder.FullPath}' could not be removed: {e.Message} Delete them before the next fit there."
            );
        }
    }

    public void Dispose()
    {
        _found?.Dispose();
        _folder.Dispose();
    }

    private sealed class Stage : IStageCheckpoints
    {
        private readonly FitCheckpoints _all;
        private readonly FitStage _stage;
        private readonly SearchStageResult? _searched;
        private readonly string _finalists;
        private long _latest = Stopwatch.GetTimestamp();

        public Stage(FitCheckpoints all, FitStage stage, SearchStageResult? searched, IReadOnlyList<Finalist> finalists)
        {
            (_all, _stage, _searched) = (all, stage, searched);
            _finalists = JsonSerializer.Serialize(finalists, CheckpointFile.Json);
            // A comparison's state belongs to one contender: resume only if as many contenders were finished then as now.
            if (
                all._found is { } found
                && found.Texts[StageName] == stage.ToString()
                && (stage != FitStage.Comparison || all.FoundFinalists().Count == finalists.Count)
            )
                Saved = new SavedStage(found.Texts[StateName], found.Tensors);
        }

        public SavedStage? Saved { get; }

        public bool IsDue => Stopwatch.GetElapsedTime(_latest) >= _all._settings.Interval;

        public bool KeepsEnd => _all._settings.PerDataSet;

        public void Save(SavedStage stage)
        {
            var texts = new Dictionary<string, string>
            {
                [StageName] = _stage.ToString(),
                [StateName] = stage.State,
                [FingerprintName] = _all._fingerprint,
                [FinalistsName] = _finalists,
            };
            var tensors = new Dictionary<string, Tensor>(stage.Tensors);
            using PromptRows? rows = _searched?.Prompts.ToRows();
            if (_searched is not null && rows is not null)
            {
                texts[SearchedName] = JsonSerializer.Serialize(_searched.Report, CheckpointFile.Json);
                texts[TemperatureName] = _searched.Temperature.ToString("R", CultureInfo.InvariantCulture);
                SavedParameters.Add(tensors, SearchedImage, rows.Image);
                SavedParameters.Add(tensors, SearchedText, rows.Text);
                if (rows.Context is { } context)
                    tensors[SearchedContext] = context.Vectors;
                if (_searched.Prompts.Residual is { } residual)
                    tensors[SearchedResidual] = residual.Values;
                if (rows.Mixture is { } mixture)
                    texts[MixtureName] = JsonSerializer.Serialize(
                        new MixtureWeights(mixture.CandidateLengths, mixture.TextWeights, mixture.ImageWeights),
                        CheckpointFile.Json
                    );
            }
            try
            {
                _all._folder.Write(new Checkpoint(texts, tensors));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                _all._log.Warning(
                    $"No checkpoint could be written to '{_all._folder.FullPath}': {e.Message} The fit continues; if it is interrupted "
                        + "now, it will resume from an earlier checkpoint."
                );
            }
            _latest = Stopwatch.GetTimestamp();
        }
    }
}
