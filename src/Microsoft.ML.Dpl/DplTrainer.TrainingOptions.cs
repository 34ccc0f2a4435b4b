namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The second stage, which trains the prompts; see <see cref="Options.Training"/>. Batches, momentum, weight decay, the
    /// longest gradient, class weights and augmentation are those of the search, too.</summary>
    public sealed class TrainingOptions
    {
        internal TrainingOptions() { }

        /// <summary>
        /// Epochs of training, at least 1. The first is a warm-up at a learning rate of 1e-5 (or <see cref="LearningRate"/>, where that is
        /// lower). With validation rows the prompts of the most accurate epoch are kept, without them those of the last; where its mean
        /// loss lies far above the first epoch's or is that of guessing, those with which the loss was lowest, and the log says so.
        /// </summary>
        public int Epochs { get; set; } = 40;

        /// <summary>
        /// Learning rate of training (SGD), above 0 and at most 1e38. The default is the paper's, for batches of 4 and layers 512 and 768
        /// wide. Narrower layers have shorter prompts, which turn further in a step of the same length: where the log warns of the training
        /// loss, a third of the rate is a good next try, or a <see cref="MaxGradientNorm"/>.
        /// </summary>
        public double LearningRate { get; set; } = 0.0035;

        /// <summary>Images per step of training and of the search, at least 1.</summary>
        public int BatchSize { get; set; } = 4;

        /// <summary>Momentum of SGD in both stages, 0 to below 1.</summary>
        public double Momentum { get; set; } = 0.9;

        /// <summary>Weight decay of SGD in both stages, at least 0 and within float32.</summary>
        public double WeightDecay { get; set; } = 5e-4;

        /// <summary>
        /// Longest gradient of all prompts together that SGD steps by in both stages, as a Euclidean norm above 0 and within float32; a
        /// longer one is shortened to it (Pascanu et al., ICML 2013, arXiv 1211.5063). Null: gradients are taken as they are, as in the
        /// paper.
        /// </summary>
        public double? MaxGradientNorm { get; set; }

        /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP) in training, at least 0 and within float32; 0 leaves it out.</summary>
        public double DistillationWeight { get; set; }

        /// <summary>
        /// Training ends after this many epochs without a higher validation accuracy, at least 1; it needs validation rows. Null: all
        /// <see cref="Epochs"/> are run. The prompts of the best epoch are kept in either case.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>
        /// How much each class's rows count in the loss of both stages: weights by class name, or <see cref="DplClassWeights.Balanced"/>.
        /// They multiply the weights of <see cref="Options.ExampleWeightColumnName"/>. Null: all classes' rows count alike.
        /// </summary>
        public DplClassWeights? ClassWeights { get; set; }

        /// <summary>Whether training images are randomly cropped and flipped, in both stages.</summary>
        public bool Augment { get; set; } = true;
    }
}
