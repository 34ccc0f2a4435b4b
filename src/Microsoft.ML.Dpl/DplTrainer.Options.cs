using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>What a fit does. The defaults are the paper's: 16 images per class, batches of 4, 60 epochs of search, 40 of
    /// training.</summary>
    public sealed partial class Options
    {
        /// <summary>Training rows of each class that a search sets aside for validation where nothing else is said: see
        /// <see cref="ValidationRowsPerClass"/>.</summary>
        public const int DefaultValidationRowsPerClass = 4;

        /// <summary>The frozen CLIP. Required.</summary>
        public ClipBackbone? Backbone { get; set; }

        /// <summary>Column with the images: <c>MLImage</c>, file paths as text, or encoded files as bytes.</summary>
        public string ImageColumnName { get; set; } = "Image";

        /// <summary>Column with the classes: a key with names (as <c>MapValueToKey</c> makes it) or text.</summary>
        public string LabelColumnName { get; set; } = DefaultColumnNames.Label;

        /// <summary>
        /// Column of type <c>float</c> with how much each row's loss counts, at least 0; a row of weight 0 is left out as if it were not
        /// there. Null: all rows count alike. Only the weights' proportions matter: they are scaled to a mean of 1. The
        /// <see cref="ValidationSet"/> may lack the column. Accuracies are not weighted.
        /// </summary>
        public string? ExampleWeightColumnName { get; set; }

        /// <summary>Name of the added column with the class probabilities.</summary>
        public string ScoreColumnName { get; set; } = DefaultColumnNames.Score;

        /// <summary>Name of the added column with the most probable class.</summary>
        public string PredictedLabelColumnName { get; set; } = DefaultColumnNames.PredictedLabel;

        /// <summary>Rows that the search's alphas are stepped on and training epochs are compared by. Null: a share of the training rows,
        /// see <see cref="ValidationRowsPerClass"/> and <see cref="ValidationFraction"/>.</summary>
        public IDataView? ValidationSet { get; set; }

        /// <summary>
        /// Training rows of each class that are set aside for validation, at least 1; never all rows of a class. Null: what
        /// <see cref="ValidationFraction"/> says; without it, 4 for a search and none where
        /// <see cref="Configuration"/> is given. Not together with <see cref="ValidationSet"/> or <see cref="ValidationFraction"/>.
        /// </summary>
        public int? ValidationRowsPerClass { get; set; }

        /// <summary>
        /// Fraction of each class's training rows that is set aside for validation, between 0 and 1, rounded to whole rows; at least one
        /// row of each class and never all. Null: see <see cref="ValidationRowsPerClass"/>. Not together with <see cref="ValidationSet"/>
        /// or <see cref="ValidationRowsPerClass"/>.
        /// </summary>
        public double? ValidationFraction { get; set; }

        /// <summary>
        /// How much each class's rows count in the loss: weights by class name, or <see cref="DplClassWeights.Balanced"/>. They multiply
        /// the weights of <see cref="ExampleWeightColumnName"/>. Null: all classes' rows count alike.
        /// </summary>
        public DplClassWeights? ClassWeights { get; set; }

        /// <summary>The text of a class; <c>{}</c> stands for its name, whose underscores become spaces.</summary>
        public string Template { get; set; } = "a photo of a {}.";

        /// <summary>Context lengths to train without a search. Null: search.</summary>
        public PromptConfiguration? Configuration { get; set; }

        /// <summary>Context lengths that the search chooses from, increasing from 0.</summary>
        public IReadOnlyList<int> CandidateLengths { get; set; } = [0, 2, 4, 6];

        /// <summary>Images per step of search and training, at least 1.</summary>
        public int BatchSize { get; set; } = 4;

        /// <summary>Epochs of search, at least 1. The first is a warm-up at a learning rate of 1e-5 for the prompts (or
        /// <see cref="SearchLearningRate"/>, where that is lower).</summary>
        public int SearchEpochs { get; set; } = 60;

        /// <summary>Learning rate of the search's prompts (SGD), above 0.</summary>
        public double SearchLearningRate { get; set; } = 0.0035;

        /// <summary>Learning rate of the alphas (Adam), above 0.</summary>
        public double AlphaLearningRate { get; set; } = 0.0035;

        /// <summary>
        /// The search ends once no layer's choice has changed for this many epochs, at least 1, and every layer's choice leads by
        /// <see cref="SearchMargin"/>. Null: all <see cref="SearchEpochs"/> are run. Learning rates follow the schedule of all epochs in
        /// either case.
        /// </summary>
        public int? SearchPatience { get; set; }

        /// <summary>By how much of the softmax weight a layer's choice must lead the runner-up to count as decided, 0 to 1.</summary>
        public double SearchMargin { get; set; } = 0.1;

        /// <summary>
        /// Epochs of training, at least 1. The first is a warm-up at a learning rate of 1e-5 (or <see cref="TrainingLearningRate"/>, where
        /// that is lower). With validation rows the prompts of the most accurate epoch are kept, without them those of the last; where its
        /// mean loss lies far above the first epoch's or is that of guessing, those with which the loss was lowest, and the log says so.
        /// </summary>
        public int TrainingEpochs { get; set; } = 40;

        /// <summary>
        /// Learning rate of training (SGD), above 0. The default is the paper's, for batches of 4 and layers 512 and 768 wide. Narrower
        /// layers have shorter prompts, which turn further in a step of the same length: where the log warns of the training loss, a third
        /// of the rate is a good next try, or a <see cref="MaxGradientNorm"/>.
        /// </summary>
        public double TrainingLearningRate { get; set; } = 0.0035;

        /// <summary>
        /// Training ends after this many epochs without a higher validation accuracy, at least 1; it needs validation rows. Null: all
        /// <see cref="TrainingEpochs"/> are run. The prompts of the best epoch are kept in either case.
        /// </summary>
        public int? TrainingPatience { get; set; }

        /// <summary>Momentum of SGD in both stages, 0 to below 1.</summary>
        public double Momentum { get; set; } = 0.9;

        /// <summary>Weight decay of SGD in both stages, at least 0.</summary>
        public double WeightDecay { get; set; } = 5e-4;

        /// <summary>
        /// Longest gradient of all prompts together that SGD steps by in both stages, as a Euclidean norm above 0; a longer one is
        /// shortened to it (Pascanu et al., ICML 2013, arXiv 1211.5063). Null: gradients are taken as they are, as in the paper.
        /// </summary>
        public double? MaxGradientNorm { get; set; }

        /// <summary>Weight λ of KL(zero-shot CLIP ‖ prompted CLIP) in training, at least 0; 0 leaves it out.</summary>
        public double DistillationWeight { get; set; }

        /// <summary>Whether training images are randomly cropped and flipped.</summary>
        public bool Augment { get; set; } = true;

        /// <summary>Seed of everything random. Null: the <c>MLContext</c>'s seed, or 0.</summary>
        public int? Seed { get; set; }

        /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>. Null: the GPU that the <c>MLContext</c> names, else the CPU.</summary>
        public string? Device { get; set; }

        /// <summary>Whether the CPU is taken, with a warning, where the GPU is missing. Null: no for a <see cref="Device"/> given here,
        /// what the <c>MLContext</c> says for its own.</summary>
        public bool? FallbackToCpu { get; set; }

        /// <summary>
        /// What the matrix products of search and training round to. The default, float32, rounds nothing. Whatever it is, class features
        /// and predictions are float32, and so is validation, except with <see cref="DplPrecision.TensorFloat32"/> on a GPU.
        /// </summary>
        public DplPrecision Precision { get; set; }

        /// <summary>Memory for decoded training images in MiB, at least 1. They are kept at up to twice CLIP's resolution, smaller where
        /// that does not fit.</summary>
        public int ImageCacheMegabytes { get; set; } = 2048;

        /// <summary>
        /// Whether glibc's allocator is told, for the whole process, to keep freed blocks instead of returning each to the system, which
        /// makes steps faster; what is free is returned when the fit ends. Has no effect on other systems.
        /// </summary>
        public bool TuneAllocator { get; set; } = true;

        /// <summary>Leave out training and validation images that cannot be read, and say in the log how many, instead of failing at the
        /// first. Prediction always fails at such a row.</summary>
        public bool SkipUnreadableImages { get; set; }

        /// <summary>Where relative paths of images start, in training and in prediction; kept in the saved model. Null: the current
        /// folder.</summary>
        public string? ImageFolder { get; set; }

        /// <summary>
        /// Whether images given as paths or bytes are turned and mirrored as the EXIF orientation in their files asks, in training and in
        /// prediction; kept in the saved model. By default they are not, as in CLIP's own preprocessing. An <c>MLImage</c> is taken as it
        /// is: once decoded it no longer tells.
        /// </summary>
        public bool ApplyExifOrientation { get; set; }

        /// <summary>
        /// The most pixels (width × height) that an image given as path or bytes may have, from 1 to 536,870,897, in training and in
        /// prediction; kept in the saved model. An image of more is refused by what its header says, before it is decoded: decoding takes
        /// up to eight bytes for every pixel, whatever the size of the file. The default is that of PIL.
        /// </summary>
        public long MaxImagePixels { get; set; } = ImageDecoder.DefaultMaximumPixels;

        /// <summary>
        /// Folder in which the fit keeps checkpoints, so that one that was interrupted, killed or cancelled goes on in a later fit: with
        /// the same options, data and CLIP, on the same kind of machine and number of threads, it ends in the same bits as one without
        /// interruption; another number of threads is warned of. A checkpoint of another fit is refused. A fit that ends removes its
        /// checkpoints, see <see cref="WorkspacePerDataSet"/>. The two latest are kept, each flushed to the disk; where none of them can be
        /// read the fit is refused and nothing is deleted. One fit at a time uses the folder; it is made where it is missing. Null: no
        /// checkpoints.
        /// </summary>
        public string? WorkspacePath { get; set; }

        /// <summary>
        /// Whether the workspace holds fits of several data sets, such as the folds of a cross-validation: each has a sub-folder, named by
        /// its classes and images, and stays there when it has ended. Run again with the same options, an interrupted cross-validation
        /// takes the folds that ended from there and goes on with the one that was cut short. Delete the folder when it is no longer
        /// needed. Needs <see cref="WorkspacePath"/>.
        /// </summary>
        public bool WorkspacePerDataSet { get; set; }

        /// <summary>Longest time between two checkpoints within an epoch, in minutes, above 0. There is one before every epoch, too, and
        /// one when the fit is cancelled.</summary>
        public double CheckpointMinutes { get; set; } = 10;

        /// <summary>What a zip of the model will hold; <see cref="DplTransformer.Contents"/> can still change it.</summary>
        public DplModelContents ModelContents { get; set; }

        /// <summary>Images per forward pass in prediction, at least 1.</summary>
        public int PredictionBatchSize { get; set; } = DefaultPredictionBatchSize;

        /// <summary>Receives every step; the log of the <c>MLContext</c> receives every epoch.</summary>
        public IProgress<DplProgress>? Progress { get; set; }

        /// <summary>Ends the fit before the next step; so does <c>MLContext.CancelExecution</c>. What comes of it, <see cref="OnCancel"/>
        /// says.</summary>
        public CancellationToken CancellationToken { get; set; }

        /// <summary>Whether a cancelled fit throws or returns the best it has.</summary>
        public DplCancellation OnCancel { get; set; }

        /// <summary>Whether a fit whose loss or gradients become infinite or not a number throws or returns the best it had.</summary>
        public DplDivergence OnDivergence { get; set; }
    }
}
