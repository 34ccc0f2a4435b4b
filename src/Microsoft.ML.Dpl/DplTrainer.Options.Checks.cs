using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    // What the options may be, and what they mean to the engine.
    public sealed partial class Options
    {
        internal const int DefaultPredictionBatchSize = 32;

        private const int LongestCheckpointMinutes = 60 * 24 * 365;

        /// <summary>Checks everything that can be checked without data.</summary>
        /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
        internal void Validate()
        {
            if (Backbone is null)
                throw new ArgumentException(
                    $"{nameof(Backbone)} is missing: set it, for example to ClipBackbone.Open(folder).",
                    nameof(Backbone)
                );
            if (!Backbone.HasTextBranch)
                throw new ArgumentException(
                    $"{nameof(Backbone)}: the CLIP '{Backbone.Name}' came in a model zip that carries its image tower only, but "
                        + "training needs the text branch: open CLIP's folder, or take a zip saved with "
                        + $"{nameof(DplModelContents.WithClip)}.",
                    nameof(Backbone)
                );
            RequireName(ImageColumnName, nameof(ImageColumnName));
            RequireName(LabelColumnName, nameof(LabelColumnName));
            if (ExampleWeightColumnName is not null)
                RequireName(ExampleWeightColumnName, nameof(ExampleWeightColumnName));
            RequireName(ScoreColumnName, nameof(ScoreColumnName));
            if (WorkspacePath is not null)
                RequireName(WorkspacePath, nameof(WorkspacePath));
            if (WorkspacePerDataSet && WorkspacePath is null)
                throw new ArgumentException(
                    $"{nameof(WorkspacePerDataSet)} is set, but there is no workspace: set {nameof(WorkspacePath)} too.",
                    nameof(WorkspacePerDataSet)
                );
            RequireRange(
                CheckpointMinutes is > 0 and <= LongestCheckpointMinutes,
                CheckpointMinutes,
                $"above 0 and at most {LongestCheckpointMinutes}",
                nameof(CheckpointMinutes)
            );
            RequireName(PredictedLabelColumnName, nameof(PredictedLabelColumnName));
            RequireApart((ScoreColumnName, nameof(ScoreColumnName)), (PredictedLabelColumnName, nameof(PredictedLabelColumnName)));
            RequireApart(
                (ImageColumnName, nameof(ImageColumnName)),
                (LabelColumnName, nameof(LabelColumnName)),
                (ExampleWeightColumnName, nameof(ExampleWeightColumnName))
            );
            if (Template is null || Template.Split("{}").Length != 2)
                throw new ArgumentException(
                    $"{nameof(Template)} must hold {{}} once, where the class name goes; it is '{Template}'.",
                    nameof(Template)
                );
            RequireValidation();
            RequireAtLeast(BatchSize, 1, nameof(BatchSize));
            RequireAtLeast(SearchEpochs, 1, nameof(SearchEpochs));
            RequireAtLeast(TrainingEpochs, 1, nameof(TrainingEpochs));
            RequireAtLeast(ImageCacheMegabytes, 1, nameof(ImageCacheMegabytes));
            RequireAtLeast(PredictionBatchSize, 1, nameof(PredictionBatchSize));
            RequireRange(
                MaxImagePixels >= 1 && MaxImagePixels <= ImageDecoder.LargestMaximumPixels,
                MaxImagePixels,
                $"from 1 to {ImageDecoder.LargestMaximumPixels}",
                nameof(MaxImagePixels)
            );
            RequireRange(SearchLearningRate > 0, SearchLearningRate, "above 0", nameof(SearchLearningRate));
            RequireRange(AlphaLearningRate > 0, AlphaLearningRate, "above 0", nameof(AlphaLearningRate));
            RequireRange(TrainingLearningRate > 0, TrainingLearningRate, "above 0", nameof(TrainingLearningRate));
            RequireRange(Momentum is >= 0 and < 1, Momentum, "from 0 to below 1", nameof(Momentum));
            RequireRange(WeightDecay >= 0, WeightDecay, "at least 0", nameof(WeightDecay));
            if (MaxGradientNorm is double norm)
                RequireRange(norm > 0, norm, "above 0", nameof(MaxGradientNorm));
            RequireRange(SearchMargin is >= 0 and <= 1, SearchMargin, "from 0 to 1", nameof(SearchMargin));
            if (SearchPatience is int searchPatience)
                RequireAtLeast(searchPatience, 1, nameof(SearchPatience));
            if (TrainingPatience is int trainingPatience)
                RequireAtLeast(trainingPatience, 1, nameof(TrainingPatience));
            if (!Enum.IsDefined(OnCancel))
                throw new ArgumentOutOfRangeException(
                    nameof(OnCancel),
                    $"{nameof(OnCancel)} is {(int)OnCancel}, which is none of {string.Join(", ", Enum.GetNames<DplCancellation>())}."
                );
            if (!Enum.IsDefined(OnDivergence))
                throw new ArgumentOutOfRangeException(
                    nameof(OnDivergence),
                    $"{nameof(OnDivergence)} is {(int)OnDivergence}, which is none of {string.Join(", ", Enum.GetNames<DplDivergence>())}."
                );
            if (!Enum.IsDefined(ModelContents))
                throw new ArgumentOutOfRangeException(
                    nameof(ModelContents),
                    $"{nameof(ModelContents)} is {(int)ModelContents}, which is none of "
                        + $"{string.Join(", ", Enum.GetNames<DplModelContents>())}."
                );
            if (!Enum.IsDefined(Precision))
                throw new ArgumentOutOfRangeException(
                    nameof(Precision),
                    $"{nameof(Precision)} is {(int)Precision}, which is none of {string.Join(", ", Enum.GetNames<DplPrecision>())}."
                );
            RequireRange(DistillationWeight >= 0, DistillationWeight, "at least 0", nameof(DistillationWeight));
            if (CandidateLengths is null)
                throw new ArgumentException($"{nameof(CandidateLengths)} is null.", nameof(CandidateLengths));
            SupernetBranch.CheckCandidates(CandidateLengths);
            RequireRange(
                CandidateLengths[^1] <= PromptConfiguration.MaximumLength,
                CandidateLengths[^1],
                $"at most {PromptConfiguration.MaximumLength}",
                nameof(CandidateLengths)
            );
            if (Configuration is not null)
                RequireFit(Configuration, Backbone);
        }

        /// <summary>How images are read.</summary>
        internal ImageReading Reading => new(ImageFolder, MaxImagePixels, ApplyExifOrientation);

        /// <summary>The same in the engine's terms.</summary>
        internal FitSettings ToSettings(int seed) =>
            new()
            {
                Search = Configuration is not null
                    ? null
                    : new SearchSettings
                    {
                        Epochs = SearchEpochs,
                        Candidates = [.. CandidateLengths],
                        AlphaLearningRate = AlphaLearningRate,
                        LearningRate = SearchLearningRate,
                        Momentum = Momentum,
                        WeightDecay = WeightDecay,
                        MaxGradientNorm = MaxGradientNorm,
                        Patience = SearchPatience,
                        Margin = SearchMargin,
                    },
                TextLengths = Configuration?.Text,
                ImageLengths = Configuration?.Image,
                Training = new TrainingSettings
                {
                    Epochs = TrainingEpochs,
                    LearningRate = TrainingLearningRate,
                    Momentum = Momentum,
                    WeightDecay = WeightDecay,
                    MaxGradientNorm = MaxGradientNorm,
                    DistillationWeight = DistillationWeight,
                    Patience = TrainingPatience,
                },
                Template = Template,
                BatchSize = BatchSize,
                PredictionBatchSize = PredictionBatchSize,
                Split = Split,
                ReturnBestWhenDiverged = OnDivergence == DplDivergence.ReturnBest,
                Workspace = WorkspacePath is null
                    ? null
                    : new WorkspaceSettings(WorkspacePath, TimeSpan.FromMinutes(CheckpointMinutes), WorkspacePerDataSet),
                ReturnBestWhenCancelled = OnCancel == DplCancellation.ReturnBest,
                ClassWeights = ClassWeights is null
                    ? null
                    : new ClassWeighting(
                        ClassWeights.Named is null
                            ? null
                            : new SortedDictionary<string, double>(ClassWeights.Named.ToDictionary(), StringComparer.Ordinal)
                    ),
                Precision = Precision,
                Augment = Augment,
                Seed = seed,
                ImageCacheBytes = (long)ImageCacheMegabytes << 20,
            };

        /// <summary>What of the training rows is set aside; null: nothing.</summary>
        private ValidationSplit? Split =>
            (ValidationSet, ValidationRowsPerClass, ValidationFraction, Configuration) switch
            {
                ({ }, _, _, _) => null,
                (null, null, null, { }) => null,
                (null, null, null, null) => new ValidationSplit(DefaultValidationRowsPerClass, null),
                var (_, rows, fraction, _) => new ValidationSplit(rows, fraction),
            };

        private void RequireValidation()
        {
            if (ValidationRowsPerClass is int rows)
                RequireAtLeast(rows, 1, nameof(ValidationRowsPerClass));
            if (ValidationFraction is double fraction)
                RequireRange(fraction is > 0 and < 1, fraction, "between 0 and 1, both excluded", nameof(ValidationFraction));
            string[] given =
            [
                .. ValidationSet is null ? [] : new[] { nameof(ValidationSet) },
                .. ValidationRowsPerClass is null ? [] : new[] { nameof(ValidationRowsPerClass) },
                .. ValidationFraction is null ? [] : new[] { nameof(ValidationFraction) },
            ];
            if (given.Length > 1)
                throw new ArgumentException(
                    $"{string.Join(" and ", given)} are both given, but validation rows come from one place: set only one of them.",
                    given[1]
                );
            if (TrainingPatience is not null && ValidationSet is null && Split is null)
                throw new ArgumentException(
                    $"{nameof(TrainingPatience)} needs validation rows, and none are set aside where {nameof(Configuration)} is "
                        + $"given: set {nameof(ValidationSet)}, {nameof(ValidationFraction)} or {nameof(ValidationRowsPerClass)}.",
                    nameof(TrainingPatience)
                );
        }

        private static void RequireFit(PromptConfiguration configuration, ClipBackbone backbone)
        {
            int text = backbone.Config.Text.Layers,
                image = backbone.Config.Vision.Layers;
            if (configuration.Text.Count != text || configuration.Image.Count != image)
            {
                throw new ArgumentException(
                    $"{nameof(Configuration)} has {configuration.Text.Count} text and {configuration.Image.Count} image layers, but "
                        + $"{backbone.Name} has {text} and {image}.",
                    nameof(Configuration)
                );
            }
        }

        private static void RequireName(string name, string option)
        {
            if (string.IsNullOrWhiteSpace(name))
                throw new ArgumentException($"{option} is empty.", option);
        }

        private static void RequireApart(params ReadOnlySpan<(string? Name, string Option)> columns)
        {
            for (int i = 0; i < columns.Length; i++)
            for (int j = i + 1; j < columns.Length; j++)
                if (columns[i].Name == columns[j].Name)
                    throw new ArgumentException(
                        $"{columns[i].Option} and {columns[j].Option} are both '{columns[i].Name}', but must be two columns: change "
                            + "one of them.",
                        columns[j].Option
                    );
        }

        private static void RequireAtLeast(int value, int minimum, string option) =>
            RequireRange(value >= minimum, value, $"at least {minimum}", option);

        private static void RequireRange(bool holds, double value, string range, string option)
        {
            // NaN fails every comparison and is refused too.
            if (!holds || !double.IsFinite(value))
                throw new ArgumentOutOfRangeException(option, FormattableString.Invariant($"{option} must be {range}; it is {value}."));
        }
    }
}
