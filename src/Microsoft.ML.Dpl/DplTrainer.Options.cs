using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>What a fit does. Where a default depends on <see cref="TrainingOptions.Recipe"/>, the option is null.</summary>
    public sealed partial class Options
    {
        /// <summary>The frozen CLIP. Required.</summary>
        public ClipBackbone? Backbone { get; set; }

        /// <summary>Column with the images: <c>MLImage</c>, file paths as text, or encoded files as bytes.</summary>
        public string ImageColumnName { get; set; } = "Image";

        /// <summary>Column with the classes: a key with names (as <c>MapValueToKey</c> makes it) or text.</summary>
        public string LabelColumnName { get; set; } = DefaultColumnNames.Label;

        /// <summary>
        /// Column of type <c>float</c> with how much each row's loss counts, at least 0; a row of weight 0 is left out as if it were not
        /// there. Null: all rows count alike. Only the weights' proportions matter: they are scaled to a mean of 1. The
        /// <see cref="ValidationOptions.Set"/> may lack the column. Accuracies are not weighted.
        /// </summary>
        public string? ExampleWeightColumnName { get; set; }

        /// <summary>Name of the added column with the class probabilities.</summary>
        public string ScoreColumnName { get; set; } = DefaultColumnNames.Score;

        /// <summary>Name of the added column with the most probable class.</summary>
        public string PredictedLabelColumnName { get; set; } = DefaultColumnNames.PredictedLabel;

        /// <summary>The text of a class; <c>{}</c> stands for its name, whose underscores become spaces.</summary>
        public string Template { get; set; } = ClassTemplate.Default;

        /// <summary>Prompt lengths to train without a search. Null: search.</summary>
        public PromptConfiguration? Configuration { get; set; }

        /// <summary>The first stage, which chooses the prompt lengths. Has no effect where <see cref="Configuration"/> is given.</summary>
        public SearchOptions Search { get; } = new();

        /// <summary>The last stage, and what all have in common.</summary>
        public TrainingOptions Training { get; } = new();

        /// <summary>How prompts are made, trained and regularised, in both stages.</summary>
        public DesignOptions Design { get; } = new();

        /// <summary>Which rows alphas are stepped on and epochs are compared by.</summary>
        public ValidationOptions Validation { get; } = new();

        /// <summary>How images are read.</summary>
        public ImageOptions Images { get; } = new();

        /// <summary>Device, precision, memory and checkpoints.</summary>
        public ComputeOptions Compute { get; } = new();

        /// <summary>Seed of everything random. Null: the <c>MLContext</c>'s seed, or 0.</summary>
        public int? Seed { get; set; }

        /// <summary>What a zip of the model will hold; <see cref="DplTransformer.Contents"/> can still change it.</summary>
        public ModelContents ModelContents { get; set; }

        /// <summary>What the graph of <see cref="ModelContents.WithOnnx"/> computes with; <see cref="DplTransformer.OnnxPrecision"/> can
        /// still change it.</summary>
        public OnnxPrecision OnnxPrecision { get; set; }

        /// <summary>Receives every step; the log of the <c>MLContext</c> receives every epoch.</summary>
        public IProgress<FitProgress>? Progress { get; set; }

        /// <summary>Ends the fit before the next step. What comes of it, <see cref="OnCancel"/>
        /// says.</summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>Whether a cancelled fit throws or returns the best it has.</summary>
        public InterruptionBehavior OnCancel { get; set; }

        /// <summary>Whether a fit whose loss or gradients become infinite or not a number throws or returns the best it had.</summary>
        public InterruptionBehavior OnDivergence { get; set; }
    }
}
