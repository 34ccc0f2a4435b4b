using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>
/// The completed epochs. If the fit has a workspace, they are also kept next to its checkpoints, so that a resumed run has all epochs for
/// its results. The file has one JSON object per line. A newly added epoch replaces those of its stage with the same or a higher number and
/// those of later stages, since a killed run resumes a little before the point it had reached.
/// </summary>
internal sealed class EpochLog
{
    private const string FileName = "epochs.jsonl",
        Checkpoints = "checkpoint-*.safetensors";

    private readonly string? _path;
    private readonly List<FittedEpoch> _epochs = [];
    private FitStage? _stage;
    private TimeSpan _before;
    private bool _startsOver,
        _fails;

    private EpochLog(string? path) => _path = path;

    /// <summary>The completed epochs, in order.</summary>
    public IReadOnlyList<FittedEpoch> Epochs => _epochs;

    /// <param name="workspace">Folder of the fit's checkpoints, which need not exist; null: nothing is written to disk.</param>
    public static EpochLog Open(string? workspace)
    {
        var log = new EpochLog(workspace is null ? null : Path.Combine(workspace, FileName));
        if (log._path is null || !File.Exists(log._path))
            return log;
        // Without a checkpoint the fit starts over, and the log with it.
        log._startsOver = !Directory.EnumerateFiles(workspace!, Checkpoints, SearchOption.AllDirectories).Any();
        if (log._startsOver)
            return log;
        foreach (FittedEpoch epoch in File.ReadLines(log._path).Select(Read).OfType<FittedEpoch>())
            log.Put(epoch);
        return log;
    }

    /// <summary>Records the progress of a fit.</summary>
    public void Report(FitProgress progress)
    {
        if (_stage != progress.Stage)
        {
            Forget(progress.Stage, progress.Epoch);
            // progress.Elapsed starts in this process, so the time of earlier processes is added.
            (_stage, _before) = (progress.Stage, _epochs.LastOrDefault(epoch => epoch.Stage == progress.Stage)?.Elapsed ?? TimeSpan.Zero);
        }
        if (progress.EndedEpoch is not { } figures)
            return;
        var ended = new FittedEpoch(
            progress.Stage,
            progress.Epoch,
            progress.LearningRate,
            figures,
            _before + progress.Elapsed,
            RunRecord.Peak()
        );
        Put(ended);
        if (_path is null || _fails)
            return;
        try
        {
            if (_startsOver)
                File.Delete(_path);
            _startsOver = false;
            // The line break comes first so that it also ends a line that was cut off when a process was killed.
            File.AppendAllText(_path, "\n" + JsonSerializer.Serialize(ended, ToolJson.Line));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _fails = true;
            Terminal.Warn(
                $"The figures of the epochs could not be saved to '{_path}': {e.Message.TrimEnd('.')}. The fit continues; if it is "
                    + "interrupted now, its results will lack the epochs up to then."
            );
        }
    }

    private void Put(FittedEpoch epoch)
    {
        Forget(epoch.Stage, epoch.Epoch);
        _epochs.Add(epoch);
    }

    private void Forget(FitStage stage, int epoch) =>
        _epochs.RemoveAll(known => known.Stage > stage || (known.Stage == stage && known.Epoch >= epoch));

    /// <summary>Parses a line; null for a line that was cut off.</summary>
    private static FittedEpoch? Read(string line)
    {
        try
        {
            return line.Length == 0 ? null : JsonSerializer.Deserialize<FittedEpoch>(line, ToolJson.Line);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
