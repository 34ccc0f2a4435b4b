using System.Diagnostics;
using Microsoft.ML.Dpl.Drawing;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.TensorBoard;
using Tensorboard;

namespace Microsoft.ML.Dpl;

/// <summary>
/// Writes the progress of a fit as TensorBoard events: <c>tensorboard --logdir folder</c> shows losses, accuracy, learning rate and alphas
/// while the fit runs.
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Tags</term><description>Values, and their horizontal axis</description></listheader>
/// <item><term>search_steps/, training_steps/: train_loss, validation_loss</term><description>Losses of one batch, in nats; by
/// step</description></item>
/// <item><term>search/, training/: train_loss, validation_loss, validation_accuracy, learning_rate, decided_layers,
/// largest_alpha_change</term><description>The values of <see cref="EpochMetrics"/>; by epoch, from 1</description></item>
/// <item><term>alphas/text, alphas/image</term><description>Histograms, before the softmax; by epoch of the search</description></item>
/// <item><term>weights/text, weights/image</term><description>Images of the softmax weights: a row per layer, a column per candidate, from
/// dark violet (0) to yellow (1)</description></item>
/// </list>
/// Give each fit its own folder; a fit resumed from a workspace may continue in its old one. A write failure never ends a fit: see
/// <see cref="Failure"/>.
/// </remarks>
public sealed class TensorBoardProgress : IProgress<FitProgress>, IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2); // between two flushes

    private readonly EventFile _file;
    private readonly IProgress<FitProgress>? _next;
    private readonly object _writing = new();
    private long _flushed = Stopwatch.GetTimestamp();

    /// <param name="folder">The folder to write to; created if it is missing.</param>
    /// <param name="next">Another receiver that gets every report, too; null: none.</param>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the folder is denied.</exception>
    public TensorBoardProgress(string folder, IProgress<FitProgress>? next = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        (_file, _next) = (new EventFile(folder), next);
    }

    /// <summary>The full path of the event file.</summary>
    public string EventFilePath => _file.FullPath;

    /// <summary>Why writing stopped, for example because of a full disk; null as long as there was no error.</summary>
    public IOException? Failure { get; private set; }

    /// <inheritdoc/>
    public void Report(FitProgress value)
    {
        ArgumentNullException.ThrowIfNull(value);
        lock (_writing)
        {
            try
            {
                if (Failure is null)
                    Write(value);
            }
            catch (IOException e)
            {
                Failure = e;
            }
        }
        _next?.Report(value);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        lock (_writing)
        {
            try
            {
                _file.Dispose();
            }
            catch (IOException e)
            {
                Failure ??= e;
            }
        }
    }

    private void Write(FitProgress progress)
    {
        string stage = progress.Stage.ToString().ToLowerInvariant();
        _file.Add(
            (progress.Epoch - 1L) * progress.Steps + progress.Step,
            [.. Scalars($"{stage}_steps", ("train_loss", progress.TrainLoss), ("validation_loss", progress.ValidationLoss))]
        );
        if (progress.EndedEpoch is { } ended)
            _file.Add(progress.Epoch, [.. FromEpoch(stage, ended, progress.LearningRate)]);
        else if (Stopwatch.GetElapsedTime(_flushed) < Longest)
            return;
        _file.Flush();
        _flushed = Stopwatch.GetTimestamp();
    }

    private static IEnumerable<Summary.Types.Value> FromEpoch(string stage, EpochMetrics ended, double learningRate)
    {
        IEnumerable<Summary.Types.Value> values = Scalars(
            stage,
            ("train_loss", ended.TrainLoss),
            ("validation_loss", ended.ValidationLoss),
            ("validation_accuracy", ended.ValidationAccuracy),
            ("learning_rate", learningRate),
            ("decided_layers", ended.DecidedLayers),
            ("largest_alpha_change", ended.LargestAlphaChange)
        );
        foreach (var (branch, alphas) in new[] { ("text", ended.TextAlphas), ("image", ended.ImageAlphas) })
        {
            // Values that are not finite have no bucket in a histogram and no colour in the grid.
            if (alphas is null || !alphas.All(layer => layer.All(float.IsFinite)))
                continue;
            values = values
                .Append(EventValues.Histogram($"alphas/{branch}", [.. alphas.SelectMany(layer => layer)]))
                .Append(EventValues.Image($"weights/{branch}", WeightGrid.Draw([.. alphas.Select(AlphaWeights.Softmax)])));
        }
        return values;
    }

    private static IEnumerable<Summary.Types.Value> Scalars(string group, params (string Name, double? Value)[] scalars) =>
        scalars
            .Where(scalar => scalar.Value is not null)
            .Select(scalar => EventValues.Scalar($"{group}/{scalar.Name}", scalar.Value!.Value));
}
