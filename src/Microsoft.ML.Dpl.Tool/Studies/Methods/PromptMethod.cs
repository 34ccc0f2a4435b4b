using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>
/// This library's prompts, trained or not: zero-shot CLIP, given lengths or searched lengths, followed by options, as in <c>uniform:4
/// refit</c> (trains on training and validation images, leaving none for validation), <c>search search-refit</c> (the training after the
/// search uses the validation images, too), <c>uniform:4 paper batch=16 steps=400 crop=0.5</c>, <c>search coupled context=4
/// words=a_photo_of_a residual=0 kgcoop=8 promptsrc prograd average=gaussian templates=imagenet-80 distillation=1</c>.
/// </summary>
internal sealed class PromptMethod : IStudyMethod
{
    private readonly Func<ClipBackbone, int, PromptConfiguration?> _lengths;
    private readonly Action<DplTrainer.Options>[] _words;
    private readonly bool _isSearchAlone,
        _refits;

    /// <exception cref="FormatException">The text cannot be parsed as a prompt method.</exception>
    public PromptMethod(MethodText text)
    {
        _lengths = PromptLengths.Read(text);
        _words = [.. text.Options.Select(word => PromptWords.Read(text, word))];
        _isSearchAlone = text.Kind == "search";
        Learns = text.Kind != "zero-shot" || LearnsBesidePrompts();
        _refits = text.Options.Contains(PromptWords.Refit);
    }

    public static MethodFamily Family { get; } =
        new(PromptLengths.Kinds, $"{PromptLengths.Usage}; optionally followed by {PromptWords.Usage}", text => new PromptMethod(text));

    public bool KnowsNewClasses => true;

    public bool Learns { get; }

    public void Check(ClipBackbone backbone)
    {
        // The trainer validates its options when it is created.
        var context = new MLContext(seed: 0);
        context.MulticlassClassification.Trainers.DifferentiablePromptLearning(Options(backbone, seed: 0));
    }

    public IStudyClassifier Fit(MethodTask task)
    {
        MLContext context = task.CreateContext();
        DplTrainer.Options options = Options(task.Backbone, task.Seed);
        options.Template = task.Template;
        options.Compute.Device = task.Device;
        options.Progress = task.Progress;
        options.CancellationToken = task.CancellationToken;
        IReadOnlyList<ImageRow> train = task.Train;
        if (_refits)
            train = [.. task.Train, .. task.Validation];
        else if (task.Validation.Count > 0)
            options.Validation.Set = context.Data.LoadFromEnumerable(task.Validation);
        DplTransformer model = context
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(context.Data.LoadFromEnumerable(train));
        return new PromptClassifier(
            context,
            model,
            isCoupled: options.Design.Coupled,
            learnsTemperature: options.Training.Recipe == TrainingRecipe.Robust
        );
    }

    private DplTrainer.Options Options(ClipBackbone backbone, int seed)
    {
        var options = new DplTrainer.Options
        {
            Backbone = backbone,
            ImageColumnName = nameof(ImageRow.ImagePath),
            Configuration = _lengths(backbone, seed),
            Seed = seed,
        };
        if (_isSearchAlone)
            options.Search.Compare = false;
        Apply(options);
        return options;
    }

    private void Apply(DplTrainer.Options options)
    {
        foreach (Action<DplTrainer.Options> word in _words)
            word(options);
    }

    // Read from the options, since several words add something to learn and a later one can take it back.
    private bool LearnsBesidePrompts()
    {
        var options = new DplTrainer.Options();
        Apply(options);
        return options.Design is { Context: not null } or { TaskResidual: > 0 };
    }
}
