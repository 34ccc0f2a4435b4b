using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Everything one fit was asked and came to: what is needed to repeat it and to draw its report. Written as JSON by
/// <see cref="ResultsJson"/>.</summary>
/// <param name="Asked">What was asked.</param>
/// <param name="Versions">What it ran on.</param>
/// <param name="Backbone">The frozen CLIP.</param>
internal sealed record FitResults(AskedResults Asked, VersionResults Versions, BackboneResults Backbone)
{
    /// <summary>The version of the form that this code writes; it grows when a reader of older files would misread newer ones.</summary>
    public const int CurrentSchemaVersion = 1;

    /// <summary>The version of the form that this was written in.</summary>
    public int SchemaVersion { get; init; } = CurrentSchemaVersion;

    /// <summary>The images; null where they are not known.</summary>
    public DataResults? Data { get; init; }

    /// <summary>The epochs of the search; null where the configuration was given.</summary>
    public SearchResults? Search { get; init; }

    /// <summary>What short trainings compared, in the order of comparison; empty where nothing was compared.</summary>
    public IReadOnlyList<FinalistResults> Finalists { get; init; } = [];

    /// <summary>The epochs of these short trainings, counted through all finalists; empty where nothing was compared.</summary>
    public IReadOnlyList<TrainingEpochResults> FinalistEpochs { get; init; } = [];

    /// <summary>The epochs of the training; null where only a search was run.</summary>
    public TrainingResults? Training { get; init; }

    /// <summary>The prompt lengths that were searched or given.</summary>
    public PromptConfiguration? Configuration { get; init; }

    /// <summary>How prompts were made and trained; null: by the plain method.</summary>
    public DesignResults? Design { get; init; }

    /// <summary>What the model says of the test images; null without any.</summary>
    public TestResults? Test { get; init; }

    /// <summary>The same test images by other models: zero-shot CLIP, uniform prompts, … The fitted model need not be repeated here. Empty
    /// where nothing was compared.</summary>
    public IReadOnlyList<ComparisonRow> Comparison { get; init; } = [];

    /// <summary>Time and memory, in the order in which the stages ran.</summary>
    public IReadOnlyList<StageCost> Stages { get; init; } = [];

    /// <summary>Where the model was saved; null where it was not.</summary>
    public string? ModelPath { get; init; }

    /// <summary>What the library warned of while this process ran, in the words of the terminal; a baseline's after its name.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Whether the fit was cancelled and this is the best it had by then.</summary>
    public bool WasCancelled { get; init; }

    /// <summary>Whether the fit's numbers went wrong and this is the best it had before.</summary>
    public bool HasDiverged { get; init; }

    /// <summary>Whether the last training was on the validation rows too, so that none of its epochs could be validated.</summary>
    [JsonIgnore]
    public bool WasRefitted =>
        Finalists.Count > 0
        && Training is { ValidationAccuracy: not null, Epochs: var epochs }
        && epochs.All(e => e.ValidationAccuracy is null);

    /// <summary>The number of classes; null where it is not known.</summary>
    [JsonIgnore]
    public int? ClassCount => Test?.Classes.Count ?? Data?.Classes.Count;
}
