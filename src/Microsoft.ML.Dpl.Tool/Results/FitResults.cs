using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Settings and results of one fit: everything needed to repeat it and to write its report. Written as JSON by
/// <see cref="ResultsJson"/>.</summary>
/// <param name="Asked">What was asked for.</param>
/// <param name="Versions">What it ran on.</param>
/// <param name="Backbone">The frozen CLIP.</param>
internal sealed record FitResults(AskedResults Asked, VersionResults Versions, BackboneResults Backbone)
{
    /// <summary>The schema version that this code writes; it is increased when a reader of older files would misread newer ones.</summary>
    public const int CurrentSchemaVersion = 1;

    /// <summary>The schema version of these results.</summary>
    public int SchemaVersion { get; init; } = CurrentSchemaVersion;

    /// <summary>The images; null where they are not known.</summary>
    public DataResults? Data { get; init; }

    /// <summary>The epochs of the search; null if the configuration was given.</summary>
    public SearchResults? Search { get; init; }

    /// <summary>The finalists that were compared by short trainings, in the order of comparison; empty if nothing was compared.</summary>
    public IReadOnlyList<FinalistResults> Finalists { get; init; } = [];

    /// <summary>The epochs of the finalists' short trainings, numbered consecutively over all finalists; empty if nothing was
    /// compared.</summary>
    public IReadOnlyList<TrainingEpochResults> FinalistEpochs { get; init; } = [];

    /// <summary>The epochs of the training; null if only a search was run.</summary>
    public TrainingResults? Training { get; init; }

    /// <summary>The prompt lengths that were searched or given.</summary>
    public PromptConfiguration? Configuration { get; init; }

    /// <summary>The prompt design; null for the plain method.</summary>
    public DesignResults? Design { get; init; }

    /// <summary>Results on the test images; null if there are none.</summary>
    public TestResults? Test { get; init; }

    /// <summary>Results of other models on the same test images: zero-shot CLIP, uniform prompts, … The fitted model need not be repeated
    /// here. Empty if nothing was compared.</summary>
    public IReadOnlyList<ComparisonRow> Comparison { get; init; } = [];

    /// <summary>Time and memory of each stage, in the order in which the stages ran.</summary>
    public IReadOnlyList<StageCost> Stages { get; init; } = [];

    /// <summary>Where the model was saved; null if it was not.</summary>
    public string? ModelPath { get; init; }

    /// <summary>SHA-256 of the saved model's zip, in lower-case hexadecimal; null if no model was saved, and in older results.</summary>
    public string? ModelSha256 { get; init; }

    /// <summary>The library's warnings while this process ran, as shown on the terminal; a baseline's warnings are prefixed with its
    /// name.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Whether the fit was cancelled, so that these are the best results until then.</summary>
    public bool WasCancelled { get; init; }

    /// <summary>Whether the fit diverged, so that these are the best results before that.</summary>
    public bool HasDiverged { get; init; }

    /// <summary>Whether the final training also used the validation rows, so that none of its epochs could be validated.</summary>
    [JsonIgnore]
    public bool WasRefitted =>
        Finalists.Count > 0
        && Training is { ValidationAccuracy: not null, Epochs: var epochs }
        && epochs.All(e => e.ValidationAccuracy is null);

    /// <summary>Whether images were rotated and mirrored according to their EXIF orientation; false if the options do not say.</summary>
    [JsonIgnore]
    public bool AppliedExifOrientation =>
        Asked.Options.Contains(
            new NamedValue($"{nameof(DplTrainer.Options.Images)}.{nameof(DplTrainer.ImageOptions.ApplyExifOrientation)}", "true")
        );

    /// <summary>The number of classes; null if it is not known.</summary>
    [JsonIgnore]
    public int? ClassCount => Test?.Classes.Count ?? Data?.Classes.Count;
}
