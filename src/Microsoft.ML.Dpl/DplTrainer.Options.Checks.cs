using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    // Validation of the options, and their conversion to the engine's settings.
    public sealed partial class Options
    {
        private static readonly TimeSpan LongestCheckpointInterval = TimeSpan.FromDays(365);

        /// <summary>Checks everything that can be checked without the data.</summary>
        /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
        internal void Validate()
        {
            if (Backbone is null)
                throw new ArgumentException(
                    $"{nameof(Backbone)} is missing: set it, for example to ClipBackbone.Open(folder).",
                    nameof(Backbone)
                );
            if (!Backbone.HasTextTower)
                throw new ArgumentException(
                    $"{nameof(Backbone)}: the CLIP '{Backbone.Name}' came in a model zip that carries its image tower only, but "
                        + "training needs the text tower: open CLIP's folder, or take a zip saved with "
                        + $"{nameof(ModelContents.WithClip)}.",
                    nameof(Backbone)
                );
            RequireColumns();
            ClipTemplates.Require(Template, nameof(Template));
            RequireSearch();
            RequireTraining();
            RequireDesign(Backbone);
            RequireValidation();
            RequireImages();
            RequireCompute();
            OptionChecks.RequireDefined(OnCancel);
            OptionChecks.RequireDefined(OnDivergence);
            OptionChecks.RequireDefined(ModelContents);
            OptionChecks.RequireDefined(OnnxPrecision);
            if (ModelContents == ModelContents.WithOnnx)
                OnnxWriter.Find();
            if (Configuration is not null)
                RequireFit(Configuration, Backbone);
        }

        /// <summary>How images are read.</summary>
        internal ImageReading Reading => new(Images.Folder, Images.MaxPixels, Images.ApplyExifOrientation);

        /// <summary>Converts the options to the engine's settings.</summary>
        internal FitSettings ToSettings(int seed)
        {
            RecipeDefaults defaults = RecipeDefaults.For(Training.Recipe);
            IReadOnlyList<int> candidates = Search.CandidateLengths ?? defaults.CandidateLengths;
            SearchSettings? search = Configuration is not null
                ? null
                : new SearchSettings
                {
                    Recipe = Training.Recipe,
                    Objective = Objective,
                    Epochs = Search.Epochs ?? defaults.SearchEpochs ?? 0,
                    Candidates = [.. candidates],
                    AlphaLearningRate = Search.AlphaLearningRate ?? defaults.AlphaLearningRate,
                    AlphaWarmUp = defaults.AlphaWarmUp,
                    FinalSharpness = defaults.FinalSharpness,
                    SinglePath = defaults.SinglePath,
                    LearningRate = Search.LearningRate ?? defaults.SearchLearningRate,
                    Momentum = Training.Momentum,
                    WeightDecay = Training.WeightDecay,
                    MaxGradientNorm = Training.MaxGradientNorm,
                    Patience = Search.Patience,
                    Margin = Search.Margin,
                    Seed = seed,
                    KeepsMixture = Search.Result == SearchResult.Mixture,
                };
            var training = new TrainingSettings
            {
                Recipe = Training.Recipe,
                Epochs = Training.Epochs ?? defaults.TrainingEpochs ?? 0,
                Steps = Training.Steps,
                LearningRate = Training.LearningRate ?? defaults.TrainingLearningRate,
                Momentum = Training.Momentum,
                WeightDecay = Training.WeightDecay,
                MaxGradientNorm = Training.MaxGradientNorm,
                DistillationWeight = Training.DistillationWeight,
                Objective = Objective,
                Average = Design.Average?.Weights,
                Patience = Training.Patience,
            };
            return new()
            {
                Search = search,
                TextLengths = Configuration?.Text,
                ImageLengths = Configuration?.Image,
                Training = training,
                Design = DesignSettings,
                Comparison = Compares ? ComparisonSettings.From(candidates, training with { Patience = null }) : null,
                Refits =
                    search is not null
                    && (Validation.Refit ?? (Compares && defaults.Refits && Training.Patience is null && !Validation.Calibrate)),
                Template = Template,
                BatchSize = Training.BatchSize ?? defaults.BatchSize,
                PredictionBatchSize = Compute.PredictionBatchSize,
                Split = Split,
                ReturnBestWhenDiverged = OnDivergence == InterruptionBehavior.ReturnBest,
                Workspace = Compute.WorkspacePath is null
                    ? null
                    : new WorkspaceSettings(Compute.WorkspacePath, Compute.CheckpointInterval, Compute.WorkspacePerDataSet),
                ReturnBestWhenCancelled = OnCancel == InterruptionBehavior.ReturnBest,
                ClassWeights = Training.ClassWeights is null
                    ? null
                    : new ClassWeighting(
                        Training.ClassWeights.Named is null
                            ? null
                            : new SortedDictionary<string, double>(Training.ClassWeights.Named.ToDictionary(), StringComparer.Ordinal)
                    ),
                Precision = Compute.Precision,
                Calibrates = Validation.Calibrate,
                Augment = Training.Augment,
                SmallestCrop = Training.SmallestCrop ?? defaults.SmallestCrop,
                Seed = seed,
                ImageCacheBytes = (long)Images.CacheMegabytes << 20,
            };
        }

        private bool Compares => Configuration is null && (Search.Compare ?? RecipeDefaults.For(Training.Recipe).Compares);

        /// <summary>How training rows are set aside for validation; null if none are.</summary>
        private ValidationSplit? Split =>
            (Validation.Set, Validation.RowsPerClass, Validation.Fraction, Configuration) switch
            {
                ({ }, _, _, _) => null,
                (null, null, null, { }) => null,
                (null, null, null, null) => new ValidationSplit(ValidationOptions.DefaultRowsPerClass, null),
                var (_, rows, fraction, _) => new ValidationSplit(rows, fraction),
            };

        private void RequireColumns()
        {
            OptionChecks.RequireName(ImageColumnName);
            OptionChecks.RequireName(LabelColumnName);
            if (ExampleWeightColumnName is not null)
                OptionChecks.RequireName(ExampleWeightColumnName);
            OptionChecks.RequireName(ScoreColumnName);
            OptionChecks.RequireName(PredictedLabelColumnName);
            OptionChecks.RequireApart(
                (ScoreColumnName, nameof(ScoreColumnName)),
                (PredictedLabelColumnName, nameof(PredictedLabelColumnName))
            );
            OptionChecks.RequireApart(
                (ImageColumnName, nameof(ImageColumnName)),
                (LabelColumnName, nameof(LabelColumnName)),
                (ExampleWeightColumnName, nameof(ExampleWeightColumnName))
            );
        }

        private void RequireSearch()
        {
            OptionChecks.RequireDefined(Search.Result);
            OptionChecks.RequireAtLeast(Search.Epochs, 1);
            OptionChecks.RequireRate(Search.LearningRate);
            OptionChecks.RequireRate(Search.AlphaLearningRate);
            OptionChecks.RequireAtLeast(Search.Patience, 1);
            OptionChecks.RequireRange(Search.Margin is >= 0 and <= 1, Search.Margin, "from 0 to 1");
            const string lengths = $"{nameof(Search)}.{nameof(Search.CandidateLengths)}";
            if (Search.CandidateLengths is not { } candidates)
                return;
            SupernetBranch.CheckCandidates(candidates, lengths);
            int longest = candidates[^1];
            OptionChecks.RequireRange(
                longest <= PromptConfiguration.MaximumLength,
                longest,
                $"at most {PromptConfiguration.MaximumLength}",
                lengths
            );
            int together = candidates.Sum();
            if (Search.Result == SearchResult.Mixture && together > PromptConfiguration.MaximumLength)
                throw new ArgumentException(
                    $"{lengths} has {together} prompt rows in all, and with Search.Result = Mixture a layer keeps those of every "
                        + $"candidate, at most {PromptConfiguration.MaximumLength}: give fewer or shorter candidates, or "
                        + "Search.Result = Lengths.",
                    lengths
                );
        }

        private void RequireTraining()
        {
            OptionChecks.RequireDefined(Training.Recipe);
            OptionChecks.RequireAtLeast(Training.Epochs, 1);
            OptionChecks.RequireAtLeast(Training.Steps, 1);
            OptionChecks.RequireRate(Training.LearningRate);
            OptionChecks.RequireRange(Training.SmallestCrop is null or (> 0 and <= 1), Training.SmallestCrop, "above 0 and at most 1");
            if (Training is { Epochs: not null, Steps: not null })
                throw new ArgumentException(
                    "Training.Epochs and Training.Steps are both given, but training has one length: set only one of them.",
                    "Training.Steps"
                );
            OptionChecks.RequireAtLeast(Training.BatchSize, 1);
            OptionChecks.RequireRange(Training.Momentum is >= 0 and < 1, Training.Momentum, "from 0 to below 1");
            OptionChecks.RequireSingle(Training.WeightDecay >= 0, Training.WeightDecay, "at least 0");
            OptionChecks.RequireSingle(Training.MaxGradientNorm is null or > 0, Training.MaxGradientNorm, "above 0");
            OptionChecks.RequireSingle(Training.DistillationWeight >= 0, Training.DistillationWeight, "at least 0");
            OptionChecks.RequireRange(Training.LabelSmoothing is null or (>= 0 and < 1), Training.LabelSmoothing, "from 0 to below 1");
            OptionChecks.RequireAtLeast(Training.Patience, 1);
        }

        private void RequireValidation()
        {
            OptionChecks.RequireAtLeast(Validation.RowsPerClass, 1);
            OptionChecks.RequireRange(Validation.Fraction is null or (> 0 and < 1), Validation.Fraction, "between 0 and 1, both excluded");
            const string set = $"{nameof(Validation)}.{nameof(Validation.Set)}",
                rowsPerClass = $"{nameof(Validation)}.{nameof(Validation.RowsPerClass)}",
                fraction = $"{nameof(Validation)}.{nameof(Validation.Fraction)}",
                patience = $"{nameof(Training)}.{nameof(Training.Patience)}";
            string[] given =
            [
                .. Validation.Set is null ? [] : new[] { set },
                .. Validation.RowsPerClass is null ? [] : new[] { rowsPerClass },
                .. Validation.Fraction is null ? [] : new[] { fraction },
            ];
            if (given.Length > 1)
                throw new ArgumentException(
                    $"{string.Join(" and ", given)} are both given, but validation rows come from one place: set only one of them.",
                    given[1]
                );
            if (Validation.Refit == true && Configuration is not null)
                throw new ArgumentException(
                    "Validation.Refit trains what the validation rows chose on these rows, too, but a Configuration leaves them nothing to "
                        + "choose: leave out one of them.",
                    "Validation.Refit"
                );
            if (Validation.Refit == true && Training.Patience is not null)
                throw new ArgumentException(
                    "Validation.Refit leaves no rows for Training.Patience to go by: set only one of them.",
                    "Validation.Refit"
                );
            if (Validation.Refit == true && Validation.Calibrate)
                throw new ArgumentException(
                    "Validation.Calibrate needs validation rows that nothing was trained on, and Validation.Refit trains on them: set only "
                        + "one of them.",
                    "Validation.Calibrate"
                );
            if (Validation.Calibrate && Validation.Set is null && Split is null)
                throw new ArgumentException(
                    $"Validation.Calibrate needs validation rows, and none are set aside where {nameof(Configuration)} is given: set "
                        + $"{set}, {fraction} or {rowsPerClass}.",
                    "Validation.Calibrate"
                );
            if (Training.Patience is not null && Validation.Set is null && Split is null)
                throw new ArgumentException(
                    $"{patience} needs validation rows, and none are set aside where {nameof(Configuration)} is given: set {set}, "
                        + $"{fraction} or {rowsPerClass}.",
                    patience
                );
        }

        private void RequireImages()
        {
            OptionChecks.RequireRange(
                Images.MaxPixels >= 1 && Images.MaxPixels <= ImageDecoder.LargestMaximumPixels,
                Images.MaxPixels,
                $"from 1 to {ImageDecoder.LargestMaximumPixels}"
            );
            OptionChecks.RequireAtLeast(Images.CacheMegabytes, 1);
        }

        private void RequireCompute()
        {
            ComputeDevice.Check(Compute.Device);
            OptionChecks.RequireDefined(Compute.Precision);
            OptionChecks.RequireAtLeast(Compute.PredictionBatchSize, 1);
            const string path = $"{nameof(Compute)}.{nameof(Compute.WorkspacePath)}",
                perDataSet = $"{nameof(Compute)}.{nameof(Compute.WorkspacePerDataSet)}",
                interval = $"{nameof(Compute)}.{nameof(Compute.CheckpointInterval)}";
            if (Compute.WorkspacePath is not null)
                OptionChecks.RequireName(Compute.WorkspacePath);
            if (Compute.WorkspacePerDataSet && Compute.WorkspacePath is null)
                throw new ArgumentException($"{perDataSet} is set, but there is no workspace: set {path} too.", perDataSet);
            if (Compute.CheckpointInterval <= TimeSpan.Zero || Compute.CheckpointInterval > LongestCheckpointInterval)
                throw new ArgumentOutOfRangeException(
                    interval,
                    $"{interval} must be above 0 and at most {LongestCheckpointInterval:%d} days; it is {Compute.CheckpointInterval}."
                );
        }

        private static void RequireFit(PromptConfiguration configuration, ClipBackbone backbone)
        {
            int text = backbone.Config.Text.Layers,
                image = backbone.Config.Image.Layers;
            if (configuration.Text.Count != text || configuration.Image.Count != image)
            {
                throw new ArgumentException(
                    $"{nameof(Configuration)} has {configuration.Text.Count} text and {configuration.Image.Count} image layers, but "
                        + $"{backbone.Name} has {text} and {image}.",
                    nameof(Configuration)
                );
            }
        }
    }
}
