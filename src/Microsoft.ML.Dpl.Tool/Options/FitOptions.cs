using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>What search and training have in common.</summary>
internal sealed class CommonOptions : OptionGroup
{
    private readonly Option<int> _seed;

    public CommonOptions()
    {
        Add("--template", "Text of a class; {} stands for its name.", Defaults.Template, (options, value) => options.Template = value);
        Add("--batch-size", "Pictures per step.", Defaults.BatchSize, (options, value) => options.BatchSize = value);
        _seed = Add("--seed", "Of everything random.", 0, (options, value) => options.Seed = value);
        Add("--momentum", "Momentum of SGD, 0 to below 1.", Defaults.Momentum, (options, value) => options.Momentum = value);
        Add("--weight-decay", "Weight decay of SGD, at least 0.", Defaults.WeightDecay, (options, value) => options.WeightDecay = value);
        AddSwitch("--no-augment", "Leaves training pictures as they are, neither cropped nor flipped at random.", options => options.Augment = false);
        AddOptional<string>("--class-weights", "How much each class counts in the loss: balanced, or names and weights as cat=2,dog=1.5.", (options, value) => options.ClassWeights = ClassWeightsArgument.Parse(value));
        AddNumber<int>("--validation-per-class", "Training pictures of each class that are set aside for validation. Default: 4 for a search without a validation set.", (options, value) => options.ValidationRowsPerClass = value);
        AddNumber<double>("--validation-fraction", "Fraction of each class's training pictures that is set aside for validation, instead of a number.", (options, value) => options.ValidationFraction = value);
        AddSwitch("--skip-unreadable", "Leaves out pictures that cannot be read, with a warning, instead of ending at the first.", options => options.SkipUnreadableImages = true);
        Add("--image-cache-megabytes", "Memory for decoded training pictures in MiB.", Defaults.ImageCacheMegabytes, (options, value) => options.ImageCacheMegabytes = value);
        AddOptional<string>("--workspace", "Folder for checkpoints: killed or cancelled, the same command goes on from there.", (options, value) => options.WorkspacePath = value);
        Add("--checkpoint-minutes", "Longest time between two checkpoints in minutes.", Defaults.CheckpointMinutes, (options, value) => options.CheckpointMinutes = value);
    }

    /// <summary>Of everything random.</summary>
    public int Seed(ParseResult arguments) => arguments.GetValue(_seed);
}

/// <summary>The first stage.</summary>
internal sealed class SearchOptions : OptionGroup
{
    private readonly Option<int[]> _candidates = new("--candidates")
    {
        Description = "Context lengths that the search chooses from, increasing from 0.",
        HelpName = "0 2 4 6",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [.. Defaults.CandidateLengths],
    };

    public SearchOptions()
    {
        Add("--search-epochs", "Epochs of search.", Defaults.SearchEpochs, (options, value) => options.SearchEpochs = value);
        Add("--search-learning-rate", "Learning rate of the search's prompts (SGD).", Defaults.SearchLearningRate, (options, value) => options.SearchLearningRate = value);
        Add("--alpha-learning-rate", "Learning rate of the alphas (Adam).", Defaults.AlphaLearningRate, (options, value) => options.AlphaLearningRate = value);
        AddNumber<int>("--search-patience", "Ends the search once no layer's choice has changed for that many epochs and all lead by --search-margin. Default: all epochs are run.", (options, value) => options.SearchPatience = value);
        Add("--search-margin", "By how much of the softmax weight a choice must lead to count as decided, 0 to 1.", Defaults.SearchMargin, (options, value) => options.SearchMargin = value);
    }

    public new void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_candidates);
        base.AddTo(command);
    }

    public override void Apply(ParseResult arguments, DplTrainer.Options options)
    {
        options.CandidateLengths = arguments.GetRequiredValue(_candidates);
        base.Apply(arguments, options);
    }
}

/// <summary>The second stage, and the model that comes of it.</summary>
internal sealed class TrainingOptions : OptionGroup
{
    public TrainingOptions()
    {
        Add("--training-epochs", "Epochs of training.", Defaults.TrainingEpochs, (options, value) => options.TrainingEpochs = value);
        Add("--training-learning-rate", "Learning rate of training (SGD).", Defaults.TrainingLearningRate, (options, value) => options.TrainingLearningRate = value);
        AddNumber<int>("--training-patience", "Ends training after that many epochs without a higher validation accuracy. Default: all epochs are run.", (options, value) => options.TrainingPatience = value);
        Add("--distillation-weight", "Weight of staying near to zero-shot CLIP, at least 0.", Defaults.DistillationWeight, (options, value) => options.DistillationWeight = value);
        Add("--prediction-batch-size", "Pictures per forward pass in prediction.", Defaults.PredictionBatchSize, (options, value) => options.PredictionBatchSize = value);
    }
}
