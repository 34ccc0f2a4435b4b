namespace Microsoft.ML.Dpl.Fit;

/// <summary>The values of a recipe for options that are not set; docs/EVIDENCE.md has the measurements behind the robust recipe.</summary>
/// <param name="TrainingLearningRate">Learning rate of the prompts in training.</param>
/// <param name="SearchLearningRate">Learning rate of the prompts in the search.</param>
/// <param name="AlphaLearningRate">Learning rate of the alphas.</param>
/// <param name="BatchSize">Images per step.</param>
/// <param name="CandidateLengths">The lengths that the search chooses from.</param>
/// <param name="SmallestCrop">Smallest fraction of an image's area that a random crop keeps.</param>
/// <param name="TrainingEpochs">Number of epochs of training; null: it follows from <see cref="StepBudget"/>.</param>
/// <param name="SearchEpochs">Number of epochs of the search; null: it follows from <see cref="StepBudget"/>.</param>
/// <param name="SinglePath">Whether the search samples single paths, see <see cref="Microsoft.ML.Dpl.Search.SearchSettings"/>.</param>
/// <param name="FinalSharpness">Factor of the alphas at the end of the search.</param>
/// <param name="AlphaWarmUp">Fraction of the search over which the alphas' learning rate rises.</param>
/// <param name="Compares">Whether the searched configuration is compared to uniform ones.</param>
/// <param name="Refits">Whether the winner is trained again on training and validation rows.</param>
/// <param name="LabelSmoothing">Share of each label that is spread over all classes.</param>
/// <param name="TaskResidual">α of the residual added to the class features; 0: no residual.</param>
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

/// <summary>The number of steps of the robust recipe if neither steps nor epochs are set.</summary>
internal static class StepBudget
{
    // Measured with 8 to 15, 40 and 100 classes, see docs/EVIDENCE.md; extrapolated beyond that.
    private const int Fewest = 800,
        Most = 1600,
        PerClass = 8;

    /// <summary>Steps of the search as a fraction of those of training.</summary>
    public const double SearchShare = 0.25;

    /// <summary>Steps of each contender of a comparison as a fraction of those of training.</summary>
    public const double ComparisonShare = 0.25;

    /// <summary>Number of training steps.</summary>
    /// <param name="classes">The number of classes.</param>
    public static int ForTraining(int classes) => Math.Clamp(PerClass * classes, Fewest, Most);

    /// <summary>A fraction of the steps or epochs of training, at least 1.</summary>
    public static int Share(int steps, double share) => Math.Max(1, (int)Math.Round(steps * share));
}
