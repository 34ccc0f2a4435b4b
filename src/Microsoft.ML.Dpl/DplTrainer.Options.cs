using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>What a fit does. The defaults are the paper's: 16 pictures per class, batches of 4, 60 epochs of search, 40 of training.</summary>
    public sealed class Options
    {
        /// <summary>The frozen CLIP. Required.</summary>
        public ClipBackbone? Backbone { get; set; }

        /// <summary>Column with the pictures: <c>MLImage</c>, file paths as text, or encoded files as bytes.</summary>
        public string ImageColumnName { get; set; } = "Image";

        /// <summary>Column with the classes: a key with names (as <c>MapValueToKey</c> makes it) or text.</summary>
        public string LabelColumnName { get; set; } = DefaultColumnNames.Label;

        /// <summary>Name of the added column with the class probabilities.</summary>
        public string ScoreColumnName { get; set; } = DefaultColumnNames.Score;

        /// <summary>Name of the added column with the most probable class.</summary>
        public string PredictedLabelColumnName { get; set; } = DefaultColumnNames.PredictedLabel;

        /// <summary>Rows that the search's alphas are stepped on and training epochs are compared by. Null: a share of the training rows, see <see cref="ValidationRowsPerClass"/>.</summary>
        public IDataView? ValidationSet { get; set; }

        /// <summary>Training rows of each class that are set aside for validation where <see cref="ValidationSet"/> is null, at least 1; never all rows of a class. Nothing is set aside where <see cref="Configuration"/> is given.</summary>
        public int ValidationRowsPerClass { get; set; } = 4;

        /// <summary>The text of a class; <c>{}</c> stands for its name, whose underscores become spaces.</summary>
        public string Template { get; set; } = "a photo of a {}.";

        /// <summary>Context lengths to train without a search. Null: search.</summary>
        public PromptConfiguration? Configuration { get; set; }

        /// <summary>Context lengths that the search chooses from, increasing from 0.</summary>
        public IReadOnlyList<int> CandidateLengths { get; set; } = [0, 2, 4, 6];

        /// <summary>Pictures per step of search and training, at least 1.</summary>
        public int BatchSize { get; set; } = 4;

        /// <summary>Epochs of search, at least 1. The first is a warm-up at a learning rate of 1e-5 for the prompts.</summary>
        public int SearchEpochs { get; set; } = 60;

        /// <summary>Learning rate of the search's prompts (SGD), above 0.</summary>
        public double SearchLearningRate { get; set; } = 0.0035;

        /// <summary>Learning rate of the alphas (Adam), above 0.</summary>
        public double AlphaLearningRate { get; set; } = 0.0035;

        /// <summary>Epochs of training, at least 1. The first is a warm-up at a learning rate of 1e-5.</summary>
        public int TrainingEpochs { get; set; } = 40;

        /// <summary>Learning rate of training (SGD), above 0.</summary>
        public double TrainingLearningRate { get; set; } = 0.0035;

        /// <summary>Momentum of SGD in both stages, 0 to below 1.</summary>
        public double Momentum { get; set; } = 0.9;

        /// <summary>Weight decay of SGD in both stages, at least 0.</summary>
        public double WeightDecay { get; set; } = 5e-4;

        /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP) in training, at least 0; 0 leaves it out.</summary>
        public double DistillationWeight { get; set; }

        /// <summary>Whether training pictures are randomly cropped and flipped.</summary>
        public bool Augment { get; set; } = true;

        /// <summary>Seed of everything random. Null: the <c>MLContext</c>'s seed, or 0.</summary>
        public int? Seed { get; set; }

        /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>. Null: the GPU that the <c>MLContext</c> names, else the CPU.</summary>
        public string? Device { get; set; }

        /// <summary>Whether the CPU is taken, with a warning, where the GPU is missing. Null: no for a <see cref="Device"/> given here, what the <c>MLContext</c> says for its own.</summary>
        public bool? FallbackToCpu { get; set; }

        /// <summary>Memory for decoded training pictures in MiB, at least 1. They are kept at up to twice CLIP's resolution, smaller where that does not fit.</summary>
        public int ImageCacheMegabytes { get; set; } = 2048;

        /// <summary>
        /// Whether glibc's allocator is told, for the whole process, to keep freed blocks instead of returning each to the system, which makes steps faster;
        /// what is free is returned when the fit ends. Has no effect on other systems.
        /// </summary>
        public bool TuneAllocator { get; set; } = true;

        /// <summary>Leave out training and validation pictures that cannot be read, and say in the log how many, instead of failing at the first. Prediction always fails at such a row.</summary>
        public bool SkipUnreadableImages { get; set; }

        /// <summary>Where relative paths of pictures start, in training and in prediction; kept in the saved model. Null: the current folder.</summary>
        public string? ImageFolder { get; set; }

        /// <summary>Pictures per forward pass in prediction, at least 1.</summary>
        public int PredictionBatchSize { get; set; } = 32;

        /// <summary>Hears of every step; the log of the <c>MLContext</c> hears of every epoch.</summary>
        public IProgress<DplProgress>? Progress { get; set; }

        /// <summary>Ends the fit before the next step; so does <c>MLContext.CancelExecution</c>.</summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>Checks everything that can be checked without data.</summary>
        /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
        internal void Validate()
        {
            if (Backbone is null) throw new ArgumentException($"{nameof(Backbone)} is missing: set it, for example to ClipBackbone.Open(folder).", nameof(Backbone));
            RequireName(ImageColumnName, nameof(ImageColumnName));
            RequireName(LabelColumnName, nameof(LabelColumnName));
            RequireName(ScoreColumnName, nameof(ScoreColumnName));
            RequireName(PredictedLabelColumnName, nameof(PredictedLabelColumnName));
            if (Template is null || Template.Split("{}").Length != 2) throw new ArgumentException($"{nameof(Template)} must hold {{}} once, where the class name goes; it is '{Template}'.", nameof(Template));
            RequireAtLeast(ValidationRowsPerClass, 1, nameof(ValidationRowsPerClass));
            RequireAtLeast(BatchSize, 1, nameof(BatchSize));
            RequireAtLeast(SearchEpochs, 1, nameof(SearchEpochs));
            RequireAtLeast(TrainingEpochs, 1, nameof(TrainingEpochs));
            RequireAtLeast(ImageCacheMegabytes, 1, nameof(ImageCacheMegabytes));
            RequireAtLeast(PredictionBatchSize, 1, nameof(PredictionBatchSize));
            RequireRange(SearchLearningRate > 0, SearchLearningRate, "above 0", nameof(SearchLearningRate));
            RequireRange(AlphaLearningRate > 0, AlphaLearningRate, "above 0", nameof(AlphaLearningRate));
            RequireRange(TrainingLearningRate > 0, TrainingLearningRate, "above 0", nameof(TrainingLearningRate));
            RequireRange(Momentum is >= 0 and < 1, Momentum, "from 0 to below 1", nameof(Momentum));
            RequireRange(WeightDecay >= 0, WeightDecay, "at least 0", nameof(WeightDecay));
            RequireRange(DistillationWeight >= 0, DistillationWeight, "at least 0", nameof(DistillationWeight));
            if (CandidateLengths is null) throw new ArgumentException($"{nameof(CandidateLengths)} is null.", nameof(CandidateLengths));
            SupernetBranch.CheckCandidates(CandidateLengths);
            RequireRange(CandidateLengths[^1] <= PromptConfiguration.MaximumLength, CandidateLengths[^1], $"at most {PromptConfiguration.MaximumLength}", nameof(CandidateLengths));
            if (Configuration is not null) RequireFit(Configuration, Backbone);
        }

        /// <summary>The same in the engine's terms.</summary>
        internal FitSettings ToSettings(int seed) => new()
        {
            Search = Configuration is not null ? null : new SearchSettings
            {
                Epochs = SearchEpochs,
                Candidates = [.. CandidateLengths],
                AlphaLearningRate = AlphaLearningRate,
                PromptLearningRate = SearchLearningRate,
                Momentum = Momentum,
                WeightDecay = WeightDecay,
            },
            TextLengths = Configuration?.Text,
            ImageLengths = Configuration?.Image,
            Training = new TrainingSettings
            {
                Epochs = TrainingEpochs,
                LearningRate = TrainingLearningRate,
                Momentum = Momentum,
                WeightDecay = WeightDecay,
                DistillationWeight = DistillationWeight,
            },
            Template = Template,
            BatchSize = BatchSize,
            PredictionBatchSize = PredictionBatchSize,
            ValidationRowsPerClass = ValidationRowsPerClass,
            Augment = Augment,
            Seed = seed,
            ImageCacheBytes = (long)ImageCacheMegabytes << 20,
        };

        private static void RequireFit(PromptConfiguration configuration, ClipBackbone backbone)
        {
            int text = backbone.Config.Text.Layers, image = backbone.Config.Vision.Layers;
            if (configuration.Text.Count != text || configuration.Image.Count != image)
            {
                throw new ArgumentException(
                    $"{nameof(Configuration)} has {configuration.Text.Count} text and {configuration.Image.Count} image layers, but {backbone.Name} has {text} and {image}.", nameof(Configuration));
            }
        }

        private static void RequireName(string name, string option)
        {
            if (string.IsNullOrWhiteSpace(name)) throw new ArgumentException($"{option} is empty.", option);
        }

        private static void RequireAtLeast(int value, int minimum, string option)
            => RequireRange(value >= minimum, value, $"at least {minimum}", option);

        private static void RequireRange(bool holds, double value, string range, string option)
        {
            // NaN fails every comparison and is refused too.
            if (!holds || !double.IsFinite(value)) throw new ArgumentOutOfRangeException(option, FormattableString.Invariant($"{option} must be {range}; it is {value}."));
        }
    }
}
