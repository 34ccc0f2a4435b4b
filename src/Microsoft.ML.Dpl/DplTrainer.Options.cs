using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The options of a fit. Options whose default depends on <see cref="TrainingOptions.Recipe"/> are null by default.</summary>
    public sealed partial class Options
    {
        /// <summary>The frozen CLIP. Required.</summary>
        public ClipBackbone? Backbone { get; set; }

        /// <summary>Column with the images: <c>MLImage</c>, file paths as text, or encoded files as bytes.</summary>
        public string ImageColumnName { get; set; } = "Image";

        /// <summary>Column with the classes: a key with names (as created by <c>MapValueToKey</c>) or text.</summary>
        public string LabelColumnName { get; set; } = DefaultColumnNames.Label;

        /// <summary>
        /// Column of type <c>float</c> with the weight of each row's loss, at least 0; rows of weight 0 are ignored. Null: equal weights.
        /// Only the proportions matter, because weights are scaled to a mean of 1. The <see cref="ValidationOptions.Set"/> need not have
        /// the column: its rows then count equally, and in a <see cref="ValidationOptions.Refit"/> as the average training row does.
        /// Accuracies are not weighted.
        /// </summary>
        public string? ExampleWeightColumnName { get; set; }

        /// <summary>Name of the added column with the class probabilities.</summary>
        public string ScoreColumnName { get; set; } = DefaultColumnNames.Score;

        /// <summary>Name of the added column with the most probable class.</summary>
        public string PredictedLabelColumnName { get; set; } = DefaultColumnNames.PredictedLabel;

        /// <summary>The text of a class; <c>{}</c> stands for its name, whose underscores become spaces.</summary>
        public string Template { get; set; } = ClassTemplate.Default;

        /// <summary>Prompt lengths to train without a search. Null: the search chooses them.</summary>
        public PromptConfiguration? Configuration { get; set; }

        /// <summary>The first stage, which chooses the prompt lengths. Has no effect if <see cref="Configuration"/> is given.</summary>
        public SearchOptions Search { get; } = new();

        /// <summary>The last stage, which trains the prompts, and the options shared by all stages.</summary>
        public TrainingOptions Training { get; } = new();

        /// <summary>How prompts are parameterised, trained and regularised in both stages.</summary>
        public DesignOptions Design { get; } = new();

        /// <summary>The validation rows, on which the alphas are updated and epochs are compared.</summary>
        public ValidationOptions Validation { get; } = new();

        /// <summary>How images are read.</summary>
        public ImageOptions Images { get; } = new();

        /// <summary>Device, precision, memory and checkpoints.</summary>
        public ComputeOptions Compute { get; } = new();

        /// <summary>The random seed. Null: the <c>MLContext</c>'s seed, or 0.</summary>
        public int? Seed { get; set; }

        /// <summary>What a saved zip of the model contains; <see cref="DplTransformer.Contents"/> can change it later.</summary>
        public ModelContents ModelContents { get; set; }

        /// <summary>The precision of the graph of <see cref="ModelContents.WithOnnx"/>; <see cref="DplTransformer.OnnxPrecision"/> can
        /// change it later.</summary>
        public OnnxPrecision OnnxPrecision { get; set; }

        /// <summary>Receives the progress after every step; the <c>MLContext</c>'s log has a message for every epoch.</summary>
        public IProgress<FitProgress>? Progress { get; set; }

        /// <summary>Cancels the fit before its next step; <see cref="OnCancel"/> determines the result.</summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>Whether a cancelled fit throws or returns its best model so far.</summary>
        public InterruptionBehavior OnCancel { get; set; }

        /// <summary>Whether a fit whose loss or gradients become infinite or NaN throws or returns its best model from before
        /// that.</summary>
        public InterruptionBehavior OnDivergence { get; set; }
    }
}
