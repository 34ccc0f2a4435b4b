using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>How many training rows of each class are set aside: a number or a fraction of them, never all.</summary>
/// <param name="RowsPerClass">At least 1; null where a fraction is given.</param>
/// <param name="Fraction">Between 0 and 1, both excluded; null where a number is given.</param>
internal sealed record ValidationSplit(int? RowsPerClass, double? Fraction);

/// <summary>How much each class's rows count.</summary>
/// <param name="Named">Weights above 0 by class name, 1 for classes that are not named; null: every class counts alike, however many rows
/// it has.</param>
internal sealed record ClassWeighting(IReadOnlyDictionary<string, double>? Named)
{
    /// <summary>Inverse frequencies instead of names.</summary>
    public bool IsBalanced => Named is null;
}

/// <summary>What the searched configuration is compared to before one is trained.</summary>
/// <param name="UniformLengths">Each of them, in every layer of both towers, is a contender.</param>
/// <param name="Training">Of each contender.</param>
internal sealed record ComparisonSettings(IReadOnlyList<int> UniformLengths, TrainingSettings Training)
{
    /// <summary>The shortest and the longest prompts that a search may choose: lengths between them do about as well
    /// (docs/EVIDENCE.md).</summary>
    /// <param name="candidates">The lengths that the search chooses from, increasing from 0.</param>
    /// <param name="training">Of each contender.</param>
    public static ComparisonSettings From(IReadOnlyList<int> candidates, TrainingSettings training)
    {
        int[] lengths = [.. candidates.Where(length => length > 0)];
        return new ComparisonSettings(lengths is [] ? [] : [.. new[] { lengths[0], lengths[^1] }.Distinct()], training);
    }
}

/// <summary>How prompts are made, beside their lengths and their loss.</summary>
internal sealed record DesignSettings
{
    /// <summary>Of the layers.</summary>
    [JsonIgnore]
    public IPromptDesign Prompts { get; init; } = new IndependentPrompts();

    /// <summary>The same with all its values, for the fingerprint.</summary>
    [JsonPropertyName("Prompts")]
    public object PromptValues => Prompts;

    /// <summary>In the input of the text tower; null: none.</summary>
    public PromptContext? Context { get; init; }

    /// <summary>Texts of a class that are averaged; null: the template alone.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>α of the residual beside the class features; null: there is none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? TaskResidual { get; init; }

    /// <summary>Whose probabilities are learned from; null: zero-shot CLIP's.</summary>
    [JsonIgnore]
    public ClipBackbone? Teacher { get; init; }

    /// <summary>Its weights, for the fingerprint.</summary>
    public string? TeacherSha256 => Teacher?.Sha256;
}

/// <summary>What a fit does, in the engine's terms.</summary>
internal sealed record FitSettings
{
    /// <summary>Null: the lengths are given.</summary>
    public required SearchSettings? Search { get; init; }

    /// <summary>Given where nothing is searched.</summary>
    public required IReadOnlyList<int>? TextLengths { get; init; }

    /// <inheritdoc cref="TextLengths"/>
    public required IReadOnlyList<int>? ImageLengths { get; init; }

    /// <summary>All lengths that are given; null where they are searched.</summary>
    [JsonIgnore]
    public IEnumerable<int>? Lengths => Search is null ? TextLengths!.Concat(ImageLengths!) : null;

    public required TrainingSettings Training { get; init; }

    /// <summary>Null: what is searched or given is trained without comparing it to others.</summary>
    public ComparisonSettings? Comparison { get; init; }

    /// <summary>The same with the steps of all stages where they follow from the number of classes.</summary>
    public FitSettings For(int classes)
    {
        // An epoch count of 0 stands for a number that nobody gave.
        int? Steps(TrainingSettings training) => training.Steps ?? (training.Epochs > 0 ? null : StepBudget.ForTraining(classes));
        int? training = Steps(Training);
        int steps = training ?? StepBudget.ForTraining(classes);
        return this with
        {
            Training = Training with { Steps = training },
            Search = Search is { Epochs: 0 } search ? search with { Steps = StepBudget.Share(steps, StepBudget.SearchShare) } : Search,
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

    /// <summary>What training begins with; null: fresh prompts.</summary>
    [JsonIgnore]
    public InitialPrompts? Initial { get; init; }

    /// <summary>The same for the fingerprint.</summary>
    public string? InitialSha256 => Initial?.Sha256;

    /// <summary>The same without a search and a comparison, from an earlier model's prompts.</summary>
    /// <param name="initial">Not owned.</param>
    /// <param name="splits">Whether it was asked for that training rows be set aside.</param>
    /// <param name="asksForResidual">Whether a model without a task residual shall get one.</param>
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

    /// <summary>How prompts are made; null: as in the paper.</summary>
    public DesignSettings? Design { get; init; }

    /// <inheritdoc cref="DesignSettings.TaskResidual"/>
    [JsonIgnore]
    public double? ResidualScale => Design?.TaskResidual;

    /// <summary>Whether something is learned where no layer has a prompt.</summary>
    [JsonIgnore]
    public bool LearnsBesidePrompts => Design is { Context: not null } or { TaskResidual: not null };

    /// <summary>A class's text, with {} for its name.</summary>
    public required string Template { get; init; }

    public required int BatchSize { get; init; }

    public required int PredictionBatchSize { get; init; }

    /// <summary>Training rows set aside for validation where no validation set is given; null: none.</summary>
    public required ValidationSplit? Split { get; init; }

    /// <summary>Whether a cancelled fit returns the best it has. Not part of what decides a fit's course.</summary>
    [JsonIgnore]
    public bool ReturnBestWhenCancelled { get; init; }

    /// <summary>Whether a fit whose numbers go wrong returns the best it had. Not part of what decides a fit's course.</summary>
    [JsonIgnore]
    public bool ReturnBestWhenDiverged { get; init; }

    /// <summary>Null: all rows count alike.</summary>
    public required ClassWeighting? ClassWeights { get; init; }

    /// <summary>Of the steps' matrix products. What is not named in a fingerprint is float32, as in checkpoints from before there was a
    /// choice.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    [JsonConverter(typeof(JsonStringEnumConverter<ComputePrecision>))]
    public ComputePrecision Precision { get; init; }

    /// <summary>Whether what validation chose is trained once more, on training and validation rows.</summary>
    public bool Refits { get; init; }

    /// <summary>Whether the temperature is fitted to the validation images once all is trained. Decides nothing before that, so it is not
    /// part of the fingerprint.</summary>
    [JsonIgnore]
    public bool Calibrates { get; init; }

    public required bool Augment { get; init; }

    /// <summary>The least part of an image's area that a random crop keeps, in (0, 1].</summary>
    public double SmallestCrop { get; init; } = 0.08;

    public required int Seed { get; init; }

    public required long ImageCacheBytes { get; init; }

    /// <summary>Null: no checkpoints. Not part of what decides a fit's course.</summary>
    [JsonIgnore]
    public WorkspaceSettings? Workspace { get; init; }
}
