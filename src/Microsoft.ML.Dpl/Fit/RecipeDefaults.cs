namespace Microsoft.ML.Dpl.Fit;

/// <summary>What a recipe does where the options do not say; docs/EVIDENCE.md has the measurements behind the robust one.</summary>
/// <param name="TrainingLearningRate">Of the prompts.</param>
/// <param name="SearchLearningRate">Of the search's prompts.</param>
/// <param name="AlphaLearningRate">Of the alphas.</param>
/// <param name="BatchSize">Images per step.</param>
/// <param name="CandidateLengths">What the search chooses from.</param>
/// <param name="SmallestCrop">The least part of an image's area that a random crop keeps.</param>
/// <param name="TrainingEpochs">Null: they follow from <see cref="StepBudget"/>.</param>
/// <param name="SearchEpochs">Likewise.</param>
/// <param name="SinglePath">Whether the search draws single paths, see <see cref="Microsoft.ML.Dpl.Search.SearchSettings"/>.</param>
/// <param name="FinalSharpness">What the alphas are multiplied with in the end.</param>
/// <param name="AlphaWarmUp">Share of the search in which the alphas' rate rises.</param>
/// <param name="Compares">Whether the searched configuration is compared to uniform ones.</param>
/// <param name="Refits">Whether the winner is trained on the validation rows, too.</param>
/// <param name="LabelSmoothing">The part of a label that is spread over all classes.</param>
/// <param name="TaskResidual">α of the residual beside the class features; 0: there is none.</param>
internal sealed record RecipeDefaults(
    double TrainingLearningRate,
    double SearchLearningRate,
    double AlphaLearningRate,
    int BatchSize,
    IReadOnlyList<int> CandidateLengths,
    double SmallestCrop,
    int? TrainingEpochs,
    int? SearchEpochs,
    bool SinglePath,
    double FinalSharpness,
    double AlphaWarmUp,
    bool Compares,
    bool Refits,
    double LabelSmoothing,
    double TaskResidual
)
{
    private static readonly RecipeDefaults Paper = new(
        TrainingLearningRate: 0.0035,
        SearchLearningRate: 0.0035,
        AlphaLearningRate: 0.0035,
        BatchSize: 4,
        CandidateLengths: [0, 2, 4, 6],
        SmallestCrop: 0.08,
        TrainingEpochs: 40,
        SearchEpochs: 60,
        SinglePath: false,
        FinalSharpness: 1,
        AlphaWarmUp: 0,
        Compares: false,
        Refits: false,
        LabelSmoothing: 0,
        TaskResidual: 0
    );

    private static readonly RecipeDefaults Robust = new(
        TrainingLearningRate: 0.001,
        SearchLearningRate: 0.001,
        AlphaLearningRate: 0.01,
        BatchSize: 8,
        CandidateLengths: [0, 4, 8, 16],
        SmallestCrop: 0.8,
        TrainingEpochs: null,
        SearchEpochs: null,
        SinglePath: true,
        FinalSharpness: 10,
        AlphaWarmUp: 0.5,
        Compares: true,
        Refits: true,
        LabelSmoothing: 0.1,
        TaskResidual: 16
    );

    public static RecipeDefaults For(TrainingRecipe recipe) => recipe == TrainingRecipe.Paper ? Paper : Robust;
}

/// <summary>How many steps the robust recipe takes where neither steps nor epochs are given.</summary>
internal static class StepBudget
{
    // Measured with 8 to 15, 40 and 100 classes, see docs/EVIDENCE.md; beyond that it is a guess.
    private const int Fewest = 800,
        Most = 1600,
        PerClass = 8;

    /// <summary>Of the search, as a share of training's.</summary>
    public const double SearchShare = 0.25;

    /// <summary>Of each contender of a comparison, likewise.</summary>
    public const double ComparisonShare = 0.25;

    /// <summary>Steps of training.</summary>
    /// <param name="classes">The number of classes.</param>
    public static int ForTraining(int classes) => Math.Clamp(PerClass * classes, Fewest, Most);

    /// <summary>A part of training's steps or epochs, at least 1.</summary>
    public static int Share(int steps, double share) => Math.Max(1, (int)Math.Round(steps * share));
}
