using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The options that search and training share.</summary>
internal sealed class CommonOptions : OptionGroup
{
    // One year, the trainer's limit.
    private const double MostCheckpointMinutes = 365 * 24 * 60;

    private readonly Option<int> _seed = new("--seed")
    {
        Description = "Seed of everything random.",
        HelpName = "number",
        DefaultValueFactory = _ => 0,
    };
    private readonly Option<string?> _tensorBoard = new("--tensorboard")
    {
        Description = "Folder for TensorBoard's events: losses, accuracy, learning rate and alphas while the fit runs.",
        HelpName = "folder",
    };
    private readonly Option<string?> _classWeights = new("--class-weights")
    {
        Description = "How much each class counts in the loss: balanced, or names and weights as cat=2,dog=1.5.",
        HelpName = "weights",
    };

    private readonly ChoiceOption<ComputePrecision> _precision = new(
        "--precision",
        "Precision that products in search and training are rounded to: bfloat16 is fast on GPUs and on CPUs with AMX, tensorfloat32 on "
            + "GPUs. Predictions always use float32.",
        Defaults.Compute.Precision
    );

    private readonly ChoiceOption<TrainingRecipe> _recipe = new(
        "--recipe",
        "How prompts are initialised and trained: robust is AdamW with a learned temperature and a comparison of the searched lengths to "
            + "uniform ones; paper is the authors' SGD, which trains what the search found.",
        Defaults.Training.Recipe
    );

    private readonly Option<double> _checkpointMinutes = new("--checkpoint-minutes")
    {
        Description = "Longest time between two checkpoints in minutes.",
        HelpName = "number",
        DefaultValueFactory = _ => Defaults.Compute.CheckpointInterval.TotalMinutes,
    };

    public CommonOptions()
    {
        Add("--template", "Text of a class; {} stands for its name.", options => options.Template);
        AddOptional("--batch-size", "Images per step. Default: 8; 4 with --recipe paper.", options => options.Training.BatchSize);
        Add(_seed, (arguments, options) => options.Seed = Seed(arguments));
        Add("--momentum", "Momentum of SGD with --recipe paper, 0 to below 1.", options => options.Training.Momentum);
        Add("--weight-decay", "Weight decay in all stages, at least 0.", options => options.Training.WeightDecay);
        Add(_recipe, (arguments, options) => options.Training.Recipe = _recipe.Read(arguments));
        AddOptional(
            "--smallest-crop",
            "Smallest part of an image's area that a random crop keeps, up to 1. Default: 0.8; 0.08 with --recipe paper.",
            options => options.Training.SmallestCrop
        );
        AddOptional(
            "--label-smoothing",
            "Part of each label that is spread over all classes when prompts are trained, 0 to below 1. Default: 0.1; 0 with --recipe "
                + "paper.",
            options => options.Training.LabelSmoothing
        );
        Add(_precision, (arguments, options) => options.Compute.Precision = _precision.Read(arguments));
        AddSwitch(
            "--no-augment",
            "Leaves training images as they are, neither cropped nor flipped at random.",
            options => options.Training.Augment,
            value: false
        );
        AddOptional(
            "--max-gradient-norm",
            "Largest norm of the gradient of all trained parameters together; a larger one is scaled down to it. Default: no limit.",
            options => options.Training.MaxGradientNorm
        );
        Add(_classWeights, (arguments, options) =>
        {
            if (arguments.GetValue(_classWeights) is { } weights)
                options.Training.ClassWeights = ClassWeightsArgument.Parse(weights);
        });
        AddOptional(
            "--validation-per-class",
            "Training images of each class that are set aside for validation. Default: 4 for a search without a validation set.",
            options => options.Validation.RowsPerClass
        );
        AddOptional(
            "--validation-fraction",
            "Fraction of each class's training images that is set aside for validation, instead of a number.",
            options => options.Validation.Fraction
        );
        AddSwitch(
            "--apply-exif",
            "Rotates and mirrors images as their EXIF orientation says; the model then does so, too. CLIP's own preprocessing does not.",
            options => options.Images.ApplyExifOrientation
        );
        Add("--max-image-pixels", "The most pixels that an image may have; larger ones are not decoded.", options =>
            options.Images.MaxPixels
        );
        AddSwitch(
            "--skip-unreadable",
            "Leaves out images that cannot be read, with a warning, instead of stopping at the first.",
            options => options.Images.SkipUnreadable
        );
        Add("--image-cache-megabytes", "Memory for decoded training images in MiB.", options => options.Images.CacheMegabytes);
        AddOptional(
            "--workspace",
            "Folder for checkpoints, from which the same command continues after it was killed or cancelled.",
            options => options.Compute.WorkspacePath,
            "folder"
        );
        // Read by the session, not by the trainer.
        Add(_tensorBoard, (_, _) => { });
        Add(_checkpointMinutes, (arguments, options) => options.Compute.CheckpointInterval = CheckpointInterval(arguments));
    }

    /// <summary>Folder for TensorBoard's event files; null: none are written.</summary>
    public string? TensorBoard(ParseResult arguments) => arguments.GetValue(_tensorBoard);

    private TimeSpan CheckpointInterval(ParseResult arguments)
    {
        double minutes = arguments.GetRequiredValue(_checkpointMinutes);
        // TimeSpan's own overflow message would not name the option.
        return minutes is > 0 and <= MostCheckpointMinutes
            ? TimeSpan.FromMinutes(minutes)
            : throw new ArgumentException(
                FormattableString.Invariant(
                    $"{_checkpointMinutes.Name} must be above 0 and at most {MostCheckpointMinutes}; it is {minutes}."
                )
            );
    }

    /// <summary>The seed of everything random.</summary>
    public int Seed(ParseResult arguments) => arguments.GetValue(_seed);
}

/// <summary>The options of the search, the first stage.</summary>
internal sealed class SearchOptions : OptionGroup
{
    private readonly Option<int[]?> _candidates = new("--candidates")
    {
        Description = "Prompt lengths that the search chooses from, increasing from 0. Default: 0 4 8 16; 0 2 4 6 with --recipe paper.",
        HelpName = "0 4 8 16",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly ChoiceOption<SearchResult> _result = new(
        "--search-result",
        "What a fit compares to uniform lengths and trains: lengths are the chosen ones, trained from scratch; mixture is the searched "
            + "mixture of all candidates, trained further.",
        Defaults.Search.Result
    );

    /// <param name="trains">Whether the command also trains; after a search alone nothing is compared or trained.</param>
    public SearchOptions(bool trains)
    {
        Add(_candidates, (arguments, options) =>
        {
            if (arguments.GetValue(_candidates) is { Length: > 0 } candidates)
                options.Search.CandidateLengths = candidates;
        });
        AddOptional("--search-epochs", "Epochs of search. Default: a quarter of training's steps; 60 with --recipe paper.", options =>
            options.Search.Epochs
        );
        AddOptional(
            "--search-learning-rate",
            "Highest learning rate of the search's prompts. Default: 0.001; 0.0035 with --recipe paper.",
            options => options.Search.LearningRate
        );
        AddOptional(
            "--alpha-learning-rate",
            "Highest learning rate of the alphas (Adam). Default: 0.01; 0.0035 with --recipe paper.",
            options => options.Search.AlphaLearningRate
        );
        if (trains)
            AddTraining();
        AddOptional(
            "--search-patience",
            "Ends the search once no layer's choice has changed for that many epochs and all lead by --search-margin. Default: all "
                + "epochs are run.",
            options => options.Search.Patience
        );
        Add("--search-margin", "Lead in softmax weight at which a choice counts as decided, 0 to 1.", options => options.Search.Margin);
    }

    /// <summary>Adds the options for what follows the search.</summary>
    private void AddTraining()
    {
        Add(_result, (arguments, options) => options.Search.Result = _result.Read(arguments));
        AddSwitch(
            "--no-comparison",
            "Trains what the search found without comparing it to uniform lengths by short trainings, as --recipe paper does.",
            options => options.Search.Compare,
            value: false
        );
        AddSwitch(
            "--no-refit",
            "Leaves the validation images out of the training that follows a comparison. Default: they are trained on, too, unless "
                + "--training-patience or --calibrate needs them.",
            options => options.Validation.Refit,
            value: false
        );
    }
}

/// <summary>The options of the training, the second stage, and of predictions with the resulting model.</summary>
internal sealed class TrainingOptions : OptionGroup
{
    public TrainingOptions()
    {
        AddOptional(
            "--training-steps",
            "Steps of training, rounded up to whole epochs. Default: 8 for each class, from 800 to 1600.",
            options => options.Training.Steps
        );
        AddOptional("--training-epochs", "Epochs of training, instead of a number of steps. Default with --recipe paper: 40.", options =>
            options.Training.Epochs
        );
        AddOptional("--training-learning-rate", "Highest learning rate of training. Default: 0.001; 0.0035 with --recipe paper.", options =>
            options.Training.LearningRate
        );
        AddOptional(
            "--training-patience",
            "Ends training after that many epochs without a higher validation accuracy. Default: all epochs are run.",
            options => options.Training.Patience
        );
        Add("--distillation-weight", "Weight of staying close to zero-shot CLIP, at least 0.", options =>
            options.Training.DistillationWeight
        );
        AddSwitch(
            "--calibrate",
            "Fits the temperature of the probabilities to the validation images after training, which then does not use them. No image's "
                + "predicted class changes.",
            options => options.Validation.Calibrate
        );
        Add("--prediction-batch-size", "Images per forward pass in prediction.", options => options.Compute.PredictionBatchSize);
    }
}
