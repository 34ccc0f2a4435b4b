using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>
/// Everything that determines the result of a fit, by name: two fits with equal fingerprints compute the same on one machine.
/// </summary>
internal sealed class FitFingerprint
{
    // Incremented when the content of checkpoints changes.
    private const string Format = "4";
    private const int LongestShown = 60;
    private const string Classes = "Classes",
        TrainingData = "Training data (SHA-256)",
        ValidationData = "Validation data (SHA-256)",
        TrainingRows = "Training rows",
        ValidationRows = "Validation rows",
        RefitWeights = "Weights in the refit (SHA-256)";

    // Affects only the last bits, by the order of summation.
    private const string Threads = "Threads";

    private readonly SortedDictionary<string, string> _parts;

    private FitFingerprint(SortedDictionary<string, string> parts) => _parts = parts;

    public static FitFingerprint Create(
        FitSettings settings,
        ClipBackbone backbone,
        LabelClasses classes,
        FitImages? images,
        PreparedImages? validation,
        torch.Device device,
        bool searchesOnly
    )
    {
        var parts = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["Checkpoint format"] = Format,
            ["CLIP's SHA-256"] = backbone.Sha256,
            [Classes] = string.Join(", ", classes.Names),
            ["Device"] = device.type.ToString(),
            [TrainingRows] = $"{images?.TrainRows.Count ?? 0}",
            [TrainingData] = images is null ? "" : DataDigest.Compute(images.Cache, images.Labels, images.TrainWeights),
            [ValidationRows] = $"{validation?.Count ?? 0}",
            [ValidationData] = validation is null ? "" : DataDigest.Compute(validation),
        };
        if (device.type == TorchSharp.DeviceType.CPU)
            parts.Add(Threads, $"{torch.get_num_threads()}");
        // Absent if all weigh the same, so that checkpoints of such fits from before this entry existed can be resumed.
        if (settings.Refits && images?.AllWeights is { } all)
            parts.Add(RefitWeights, DataDigest.Compute(all));
        // Absent for a complete fit, so that checkpoints from before separate searches existed can be resumed.
        if (searchesOnly)
            parts.Add("Run", "search without training");
        // Taken from the settings as a whole, so that none is forgotten.
        Add(parts, "", JsonSerializer.SerializeToNode(settings)!.AsObject());
        return new FitFingerprint(parts);
    }

    public static FitFingerprint FromJson(string json) => new(JsonSerializer.Deserialize<SortedDictionary<string, string>>(json) ?? []);

    /// <summary>
    /// A name for the data, independent of the options: a hash of the classes, the training images and the validation images, in their
    /// order, and of their weights.
    /// </summary>
    public string DataName =>
        "data-"
        + Sha256.Compute(
            Encoding.UTF8.GetBytes(
                string.Join(
                    '\n',
                    [
                        _parts[Classes],
                        _parts[TrainingData],
                        _parts[ValidationData],
                        .. _parts.TryGetValue(RefitWeights, out string? weights) ? [weights] : Array.Empty<string>(),
                    ]
                )
            )
        )[..16];

    public string ToJson() => JsonSerializer.Serialize(_parts);

    /// <summary>What differs from an earlier fit, one phrase each; empty if nothing does.</summary>
    public IReadOnlyList<string> DifferencesFrom(FitFingerprint earlier) =>
        [
            .. _parts
                .Keys.Union(earlier._parts.Keys)
                .Order(StringComparer.Ordinal)
                .Where(name => name != Threads && earlier._parts.GetValueOrDefault(name) != _parts.GetValueOrDefault(name))
                .Select(name =>
                    $"{FingerprintNames.Shown(name)} was {Shown(earlier._parts.GetValueOrDefault(name))} and is "
                    + Shown(_parts.GetValueOrDefault(name))
                )
                // Options shared by both stages appear in the settings of each.
                .Distinct(),
        ];

    /// <summary>Whether only the data differs from that of an earlier fit, as between the folds of a cross-validation.</summary>
    public bool DiffersInDataOnly(FitFingerprint earlier) =>
        _parts
            .Keys.Union(earlier._parts.Keys)
            .All(name =>
                name is Threads or Classes or TrainingData or ValidationData or TrainingRows or ValidationRows or RefitWeights
                || earlier._parts.GetValueOrDefault(name) == _parts.GetValueOrDefault(name)
            );

    /// <summary>
    /// The numbers of threads then and now, if both are known and differ: the fit can be resumed, but its last bits may differ.
    /// </summary>
    public (string Earlier, string Now)? OtherThreads(FitFingerprint earlier) =>
        earlier._parts.TryGetValue(Threads, out string? before) && _parts.TryGetValue(Threads, out string? now) && before != now
            ? (before, now)
            : null;

    /// <summary>Adds all settings that are not null; those of a stage are named by the stage and their own name.</summary>
    private static void Add(SortedDictionary<string, string> parts, string stage, JsonObject settings)
    {
        foreach (var (name, value) in settings)
        {
            if (value is JsonObject inner && stage.Length == 0)
                Add(parts, name, inner);
            else if (value is not null)
                parts.Add(stage + name, value.ToJsonString());
        }
    }

    private static string Shown(string? value) =>
        value is null or "" ? "nothing"
        : value.Length > LongestShown ? value[..LongestShown] + "…"
        : value;
}

/// <summary>Maps the settings of a fingerprint to the trainer's options, since fingerprints in checkpoints use the engine's
/// names.</summary>
internal static class FingerprintNames
{
    private static readonly Dictionary<string, string> Options = new(StringComparer.Ordinal)
    {
        ["SearchAlphaLearningRate"] = "Search.AlphaLearningRate",
        ["SearchCandidates"] = "Search.CandidateLengths",
        ["SearchEpochs"] = "Search.Epochs",
        ["SearchMargin"] = "Search.Margin",
        ["SearchMaxGradientNorm"] = "Training.MaxGradientNorm",
        ["SearchMomentum"] = "Training.Momentum",
        ["SearchPatience"] = "Search.Patience",
        ["SearchLearningRate"] = "Search.LearningRate",
        ["SearchWeightDecay"] = "Training.WeightDecay",
        ["TrainingDistillationWeight"] = "Training.DistillationWeight",
        ["TrainingEpochs"] = "Training.Epochs",
        ["TrainingLearningRate"] = "Training.LearningRate",
        ["TrainingMaxGradientNorm"] = "Training.MaxGradientNorm",
        ["TrainingMomentum"] = "Training.Momentum",
        ["TrainingPatience"] = "Training.Patience",
        ["TrainingWeightDecay"] = "Training.WeightDecay",
        ["Augment"] = "Training.Augment",
        ["BatchSize"] = "Training.BatchSize",
        ["Precision"] = "Compute.Precision",
        ["PredictionBatchSize"] = "Compute.PredictionBatchSize",
    };

    /// <summary>The name of the option, or of the setting itself if no option corresponds to it.</summary>
    public static string Shown(string setting) => Options.GetValueOrDefault(setting, setting);
}
