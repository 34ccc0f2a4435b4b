namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The second stage, which trains the prompts; see <see cref="Options.Training"/>. Batch size, momentum, weight decay,
    /// gradient clipping, class weights and augmentation also apply to the search.</summary>
    public sealed class TrainingOptions
    {
        internal TrainingOptions() { }

        /// <summary>How prompts are initialised and optimised in both stages. It determines the defaults of options that are
        /// null.</summary>
        public TrainingRecipe Recipe { get; set; }

        /// <summary>
        /// Number of training epochs, at least 1. Null: as many as <see cref="Steps"/> take; 40 with <see cref="TrainingRecipe.Paper"/>,
        /// the first of which is a warm-up at a learning rate of 1e-5 (or <see cref="LearningRate"/>, if that is lower). With validation
        /// rows, the prompts of the most accurate epoch are kept; without them, those of the last epoch, unless its mean loss is far above
        /// that of the first epoch or at chance level: then the prompts with the lowest loss are kept, with a message in the log.
        /// </summary>
        public int? Epochs { get; set; }

        /// <summary>Number of training steps, at least 1, rounded up to whole epochs. Null: 8 per class, but at least 800 and at most
        /// 1,600. Cannot be combined with <see cref="Epochs"/>.</summary>
        public int? Steps { get; set; }

        /// <summary>
        /// Peak learning rate of training, above 0. Null: 0.001 (AdamW); with <see cref="TrainingRecipe.Paper"/> 0.0035 (SGD), which suits
        /// batches of 4 and layer widths of 512 and 768. In narrower layers prompts have smaller norms, so a step of the same length
        /// rotates them further: if the log warns about the training loss, try a third of the rate, or a <see cref="MaxGradientNorm"/>.
        /// </summary>
        public double? LearningRate { get; set; }

        /// <summary>Images per step if <see cref="BatchSize"/> is null.</summary>
        public static int DefaultBatchSize(TrainingRecipe recipe) => Microsoft.ML.Dpl.Fit.RecipeDefaults.For(recipe).BatchSize;

        /// <summary>Images per step in all stages, at least 1. Null: 8; 4 with <see cref="TrainingRecipe.Paper"/>.</summary>
        public int? BatchSize { get; set; }

        /// <summary>Momentum of SGD in both stages, from 0 to below 1. Not used by AdamW, which has its own moving averages.</summary>
        public double Momentum { get; set; } = 0.9;

        /// <summary>Weight decay in both stages, at least 0.</summary>
        public double WeightDecay { get; set; } = 5e-4;

        /// <summary>
        /// Gradient clipping in both stages: the maximum Euclidean norm of the gradient of all trained parameters together (prompts,
        /// context, task residual and, except with <see cref="TrainingRecipe.Paper"/>, temperature), above 0 and within float32, to which a
        /// larger gradient is scaled down (Pascanu et al., ICML 2013, arXiv 1211.5063). Null: no clipping, as in the paper.
        /// </summary>
        public double? MaxGradientNorm { get; set; }

        /// <summary>
        /// Label smoothing ε in the prompt updates of all stages, from 0 to below 1: the fraction of each label that is spread over all
        /// classes (Szegedy et al., CVPR 2016, arXiv 1512.00567). It keeps probabilities close to the actual accuracy when the training
        /// images are memorised. Reported losses and the updates of the alphas do not use it. Null: 0.1; 0 with
        /// <see cref="TrainingRecipe.Paper"/>.
        /// </summary>
        public double? LabelSmoothing { get; set; }

        /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP) in the training loss, at least 0 and within float32; 0 disables
        /// it.</summary>
        public double DistillationWeight { get; set; }

        /// <summary>
        /// Early stopping: training ends after this many epochs without a higher validation accuracy, at least 1. Requires validation rows.
        /// Null: all <see cref="Epochs"/> are run. The prompts of the best epoch are kept in either case.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>
        /// Class weights in the loss of both stages: weights by class name, or <see cref="ClassWeights.Balanced"/>. They are multiplied
        /// with the weights of <see cref="Options.ExampleWeightColumnName"/>. Null: equal weights.
        /// </summary>
        public ClassWeights? ClassWeights { get; set; }

        /// <summary>Whether training images are randomly cropped and flipped, in both stages.</summary>
        public bool Augment { get; set; } = true;

        /// <summary>The minimum fraction of an image's area that a random crop keeps, in (0, 1]. Null: 0.8; 0.08 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? SmallestCrop { get; set; }
    }
}
