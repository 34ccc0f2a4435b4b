namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>Where and how a fit computes, and what it keeps against an interruption; see <see cref="Options.Compute"/>.</summary>
    public sealed class ComputeOptions
    {
        internal const int DefaultPredictionBatchSize = 32;

        internal ComputeOptions() { }

        /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>. Null: the GPU that the <c>MLContext</c> names, else the CPU.</summary>
        public string? Device { get; set; }

        /// <summary>Whether the CPU is taken, with a warning, where the GPU is missing. Null: no for a <see cref="Device"/> given here,
        /// what the <c>MLContext</c> says for its own.</summary>
        public bool? FallbackToCpu { get; set; }

        /// <summary>
        /// What the matrix products of search and training round to. The default, float32, rounds nothing. Whatever it is, class features
        /// and predictions are float32, and so is validation, except with <see cref="ComputePrecision.TensorFloat32"/> on a GPU.
        /// </summary>
        public ComputePrecision Precision { get; set; }

        /// <summary>
        /// Whether glibc's allocator is told, for the whole process, to keep freed blocks instead of returning each to the system, which
        /// makes steps faster; what is free is returned when the fit ends. Has no effect on other systems.
        /// </summary>
        public bool TuneAllocator { get; set; } = true;

        /// <summary>Images per forward pass in prediction, at least 1.</summary>
        public int PredictionBatchSize { get; set; } = DefaultPredictionBatchSize;

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

        /// <summary>Longest time between two checkpoints within an epoch, above 0 and at most 365 days. There is one before every epoch,
        /// too, and one when the fit is cancelled.</summary>
        public TimeSpan CheckpointInterval { get; set; } = TimeSpan.FromMinutes(10);
    }
}
