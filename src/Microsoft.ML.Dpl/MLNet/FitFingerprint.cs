using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using TorchSharp;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Everything that decides what a fit finds, by name: two fits of equal fingerprints on one machine take the same course.</summary>
internal sealed class FitFingerprint
{
    // Raised when the content of checkpoints changes.
    private const string Format = "1";
    private const int LongestShown = 60;

    private readonly SortedDictionary<string, string> _parts;

    private FitFingerprint(SortedDictionary<string, string> parts) => _parts = parts;

    public static FitFingerprint Of(FitSettings settings, ClipBackbone backbone, LabelClasses classes, FitPictures? pictures, PreparedImages? validation, torch.Device device, bool searchesOnly)
    {
        var parts = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["Checkpoint format"] = Format,
            ["CLIP's SHA-256"] = backbone.Sha256,
            ["Classes"] = string.Join(", ", classes.Names),
            ["Device"] = device.type.ToString(),
            ["Training rows"] = $"{pictures?.Train.Count ?? 0}",
            ["Training data (SHA-256)"] = pictures is null ? "" : DataDigest.Of(pictures.Train, pictures.TrainLabels, pictures.TrainWeights),
            ["Validation rows"] = $"{validation?.Count ?? 0}",
            ["Validation data (SHA-256)"] = validation is null ? "" : DataDigest.Of(validation),
        };
        // A fit says nothing of it, so that checkpoints from before there were searches alone are gone on with.
        if (searchesOnly) parts.Add("Run", "search without training");
        // Taken from the settings as a whole, so that none can be forgotten.
        Add(parts, "", JsonSerializer.SerializeToNode(settings)!.AsObject());
        return new FitFingerprint(parts);
    }

    public static FitFingerprint FromJson(string json) => new(JsonSerializer.Deserialize<SortedDictionary<string, string>>(json) ?? []);

    public string ToJson() => JsonSerializer.Serialize(_parts);

    /// <summary>What was another way in an earlier fit, one phrase each; empty where the fits are alike.</summary>
    public IReadOnlyList<string> DifferencesFrom(FitFingerprint earlier)
        => [.. _parts.Keys.Union(earlier._parts.Keys).Order(StringComparer.Ordinal)
            .Where(name => earlier._parts.GetValueOrDefault(name) != _parts.GetValueOrDefault(name))
            .Select(name => $"{name} was {Shown(earlier._parts.GetValueOrDefault(name))} and is {Shown(_parts.GetValueOrDefault(name))}")];

    /// <summary>Adds what is set, the settings of a stage under the stage's name and their own.</summary>
    private static void Add(SortedDictionary<string, string> parts, string stage, JsonObject settings)
    {
        foreach (var (name, value) in settings)
        {
            if (value is JsonObject inner && stage.Length == 0) Add(parts, name, inner);
            else if (value is not null) parts.Add(stage + name, value.ToJsonString());
        }
    }

    private static string Shown(string? value) => value is null or "" ? "nothing" : value.Length > LongestShown ? value[..LongestShown] + "…" : value;
}
