namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The second stage, which trains the prompts; see <see cref="Options.Training"/>. Batches, momentum, weight decay, the
    /// longest gradient, class weights and augmentation are those of the search, too.</summary>
    public sealed class TrainingOptions
    {
        internal TrainingOptions() { }

        /// <summary>How prompts are drawn and stepped, in both stages. It decides the defaults of the options that are null.</summary>
        public TrainingRecipe Recipe { get; set; }

        /// <summary>
        /// Epochs of training, at least 1. Null: as many as make up <see cref="Steps"/>; 40 with <see cref="TrainingRecipe.Paper"/>, whose first
        /// is a warm-up at a learning rate of 1e-5 (or <see cref="LearningRate"/>, where that is lower). With validation rows the prompts
        /// of the most accurate epoch are kept, without them those of the last; where its mean loss lies far above the first epoch's or is
        /// that of guessing, those with which the loss was lowest, and the log says so.
        /// </summary>
        public int? Epochs { get; set; }

        /// <summary>Steps of training, at least 1, rounded up to whole epochs. Null: 8 for each class, from 800 to 1,600. Not together
        /// with <see cref="Epochs"/>.</summary>
        public int? Steps { get; set; }

        /// <summary>
        /// Highest learning rate of training, above 0. Null: 0.001 (AdamW); with <see cref="TrainingRecipe.Paper"/> 0.0035 (SGD), which is for
        /// batches of 4 and layers 512 and 768 wide. Narrower layers have shorter prompts, which turn further in a step of the same length:
        /// where the log warns of the training loss, a third of the rate is a good next try, or a <see cref="MaxGradientNorm"/>.
        /// </summary>
        public double? LearningRate { get; set; }

        /// <summary>Images per step where <see cref="BatchSize"/> is null.</summary>
        public static int DefaultBatchSize(TrainingRecipe recipe) => Microsoft.ML.Dpl.Fit.RecipeDefaults.For(recipe).BatchSize;

        /// <summary>Images per step of all stages, at least 1. Null: 8; 4 with <see cref="TrainingRecipe.Paper"/>.</summary>
        public int? BatchSize { get; set; }

        /// <summary>Momentum of SGD in both stages, 0 to below 1; AdamW has averages of its own.</summary>
        public double Momentum { get; set; } = 0.9;

        /// <summary>Weight decay in both stages, at least 0.</summary>
        public double WeightDecay { get; set; } = 5e-4;

        /// <summary>
        /// Longest gradient of all prompts together that steps are made by in both stages, as a Euclidean norm above 0 and within float32;
        /// a longer one is shortened to it (Pascanu et al., ICML 2013, arXiv 1211.5063). Null: gradients are taken as they are, as in the
        /// paper.
        /// </summary>
        public double? MaxGradientNorm { get; set; }

        /// <summary>
        /// Part ε of each label that is spread over all classes in the prompt steps of all stages, 0 to below 1 (Szegedy et al., CVPR 2016,
        /// arXiv 1512.00567): probabilities then stay near to how often they are right where the training images are learned by heart.
        /// Losses are shown, and the alphas are stepped, without it. Null: 0.1; 0 with <see cref="TrainingRecipe.Paper"/>.
        /// </summary>
        public double? LabelSmoothing { get; set; }

        /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP) in training, at least 0 and within float32; 0 leaves it out.</summary>
        public double DistillationWeight { get; set; }

        /// <summary>
        /// Training ends after this many epochs without a higher validation accuracy, at least 1; it needs validation rows. Null: all
        /// <see cref="Epochs"/> are run. The prompts of the best epoch are kept in either case.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>
        /// How much each class's rows count in the loss of both stages: weights by class name, or <see cref="ClassWeights.Balanced"/>.
        /// They multiply the weights of <see cref="Options.ExampleWeightColumnName"/>. Null: all classes' rows count alike.
        /// </summary>
        public ClassWeights? ClassWeights { get; set; }

        /// <summary>Whether training images are randomly cropped and flipped, in both stages.</summary>
        public bool Augment { get; set; } = true;

        /// <summary>The least part of an image's area that a random crop keeps, in (0, 1]. Null: 0.8; 0.08 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? SmallestCrop { get; set; }
    }
}
