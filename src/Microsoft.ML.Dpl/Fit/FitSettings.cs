using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>How many training rows of each class are set aside: a number or a fraction, but never all.</summary>
/// <param name="RowsPerClass">A number, at least 1; null if a fraction is given.</param>
/// <param name="Fraction">A fraction between 0 and 1, both excluded; null if a number is given.</param>
internal sealed record ValidationSplit(int? RowsPerClass, double? Fraction);

/// <summary>The weights of the classes in the loss.</summary>
/// <param name="Named">Weights above 0 by class name, 1 for classes not listed; null: all classes count equally, however many rows they
/// have.</param>
internal sealed record ClassWeighting(IReadOnlyDictionary<string, double>? Named)
{
    /// <summary>Whether classes are weighted by inverse frequency instead of by name.</summary>
    public bool IsBalanced => Named is null;
}

/// <summary>The configurations that the searched one is compared to before the best is trained.</summary>
/// <param name="UniformLengths">Lengths that, used in every layer of both towers, make one contender each.</param>
/// <param name="Training">Training settings of each contender.</param>
internal sealed record ComparisonSettings(IReadOnlyList<int> UniformLengths, TrainingSettings Training)
{
    /// <summary>
    /// Compares to the shortest and the longest non-zero candidate: lengths in between do about as well (docs/EVIDENCE.md).
    /// </summary>
    /// <param name="candidates">The lengths that the search chooses from, increasing from 0.</param>
    /// <param name="training">Training settings of each contender.</param>
    public static ComparisonSettings From(IReadOnlyList<int> candidates, TrainingSettings training)
    {
        int[] lengths = [.. candidates.Where(length => length > 0)];
        return new ComparisonSettings(lengths is [] ? [] : [.. new[] { lengths[0], lengths[^1] }.Distinct()], training);
    }
}

/// <summary>How prompts are parameterised, apart from their lengths and their loss.</summary>
internal sealed record DesignSettings
{
    /// <summary>The prompts of the layers.</summary>
    [JsonIgnore]
    public IPromptDesign Prompts { get; init; } = new IndependentPrompts();

    /// <summary>The prompt design with all its values, serialised for the fingerprint.</summary>
    [JsonPropertyName("Prompts")]
    public object PromptValues => Prompts;

    /// <summary>Learned context in the input of the text tower; null: none.</summary>
    public PromptContext? Context { get; init; }

    /// <summary>Templates whose texts of a class are averaged; null: the single template of the fit.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>α of the residual added to the class features; null: no residual.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? TaskResidual { get; init; }

    /// <summary>The CLIP whose probabilities are distilled; null: the zero-shot CLIP of the fit.</summary>
    [JsonIgnore]
    public ClipBackbone? Teacher { get; init; }

    /// <summary>Hash of the teacher's weights, for the fingerprint.</summary>
    public string? TeacherSha256 => Teacher?.Sha256;
}

/// <summary>All settings of a fit, as the engine uses them.</summary>
internal sealed record FitSettings
{
    /// <summary>Settings of the search; null: the lengths are given.</summary>
    public required SearchSettings? Search { get; init; }

    /// <summary>Prompt lengths, given if there is no search.</summary>
    public required IReadOnlyList<int>? TextLengths { get; init; }

    /// <inheritdoc cref="TextLengths"/>
    public required IReadOnlyList<int>? ImageLengths { get; init; }

    /// <summary>All given lengths; null if they are searched.</summary>
    [JsonIgnore]
    public IEnumerable<int>? Lengths => Search is null ? TextLengths!.Concat(ImageLengths!) : null;

    public required TrainingSettings Training { get; init; }

    /// <summary>Null: the searched or given configuration is trained without comparing it to others.</summary>
    public ComparisonSettings? Comparison { get; init; }

    /// <summary>These settings with the steps of all stages filled in where they depend on the number of classes.</summary>
    public FitSettings For(int classes)
    {
        // An epoch count of 0 means that the option was not set.
        int? Steps(TrainingSettings training) => training.Steps ?? (training.Epochs > 0 ? null : StepBudget.ForTraining(classes));
        int? training = Steps(Training);
        return this with
        {
            Training = Training with { Steps = training },
            Search = Search is { Epochs: 0 } search
                ? training is int steps
                    ? search with
                    {
                        Steps = StepBudget.Share(steps, StepBudget.SearchShare),
                    }
                    : search with
                    {
                        Epochs = StepBudget.Share(Training.Epochs, StepBudget.SearchShare),
                    }
                : Search,
            Comparison = Comparison is null
                ? null
                : Comparison with
                {
                    Training = Comparison.Training with
                    {
                        Epochs = StepBudget.Share(Training.Epochs, StepBudget.ComparisonShare),
                        Steps = training is int all ? StepBudget.Share(all, StepBudget.ComparisonShare) : null,
                    },
                },
        };
    }

    /// <summary>The prompts that training starts from; null: new prompts.</summary>
    [JsonIgnore]
    public InitialPrompts? Initial { get; init; }

    /// <summary>Hash of the initial prompts and their temperature, for the fingerprint.</summary>
    public string? InitialSha256 => Initial?.Sha256;

    /// <summary>These settings without search and comparison, starting from an earlier model's prompts.</summary>
    /// <param name="initial">The earlier model's prompts; not owned.</param>
    /// <param name="splits">Whether setting training rows aside was requested.</param>
    /// <param name="asksForResidual">Whether to add a task residual to a model without one.</param>
    public FitSettings GoingOnFrom(InitialPrompts initial, bool splits, bool asksForResidual) =>
        this with
        {
            Initial = initial,
            Search = null,
            TextLengths = initial.Rows.Configuration.Text,
            ImageLengths = initial.Rows.Configuration.Image,
            Comparison = null,
            Refits = false,
            Split = splits ? Split : null,
            Design =
                initial.Rows.ClassOffsets is null && !asksForResidual && Design is { } design
                    ? design with
                    {
                        TaskResidual = null,
                    }
                    : Design,
        };

    /// <summary>How prompts are parameterised; null: as in the paper.</summary>
    public DesignSettings? Design { get; init; }

    /// <inheritdoc cref="DesignSettings.TaskResidual"/>
    [JsonIgnore]
    public double? ResidualScale => Design?.TaskResidual;

    /// <summary>Whether something is learned even if no layer has a prompt.</summary>
    [JsonIgnore]
    public bool LearnsBesidePrompts => Design is { Context: not null } or { TaskResidual: not null };

    /// <summary>Template of the class texts, with {} for the class name.</summary>
    public required string Template { get; init; }

    public required int BatchSize { get; init; }

    public required int PredictionBatchSize { get; init; }

    /// <summary>Training rows set aside for validation if no validation set is given; null: none.</summary>
    public required ValidationSplit? Split { get; init; }

    /// <summary>Whether a cancelled fit returns the best result so far. Does not affect the computation before that.</summary>
    [JsonIgnore]
    public bool ReturnBestWhenCancelled { get; init; }

    /// <summary>Whether a fit that diverges returns the best result so far. Does not affect the computation before that.</summary>
    [JsonIgnore]
    public bool ReturnBestWhenDiverged { get; init; }

    /// <summary>Null: all rows have the same weight.</summary>
    public required ClassWeighting? ClassWeights { get; init; }

    /// <summary>
    /// Precision of the matrix products in steps. A fingerprint without this entry means float32, as in checkpoints from before the option
    /// existed.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    [JsonConverter(typeof(JsonStringEnumConverter<ComputePrecision>))]
    public ComputePrecision Precision { get; init; }

    /// <summary>Whether the configuration chosen by validation is trained once more, on training and validation rows.</summary>
    public bool Refits { get; init; }

    /// <summary>
    /// Whether the temperature is fitted to the validation images after training. It affects nothing before that, so it is not part of the
    /// fingerprint.
    /// </summary>
    [JsonIgnore]
    public bool Calibrates { get; init; }

    public required bool Augment { get; init; }

    /// <summary>Smallest fraction of an image's area that a random crop keeps, in (0, 1].</summary>
    public double SmallestCrop { get; init; } = 0.08;

    public required int Seed { get; init; }

    public required long ImageCacheBytes { get; init; }

    /// <summary>Where checkpoints are kept; null: no checkpoints. Does not affect the computation.</summary>
    [JsonIgnore]
    public WorkspaceSettings? Workspace { get; init; }
}
