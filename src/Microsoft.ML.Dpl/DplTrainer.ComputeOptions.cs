namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>Device, precision, memory and checkpoints of a fit; see <see cref="Options.Compute"/>.</summary>
    public sealed class ComputeOptions
    {
        internal const int DefaultPredictionBatchSize = 32;

        internal ComputeOptions() { }

        /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>. Null: the <c>MLContext</c>'s GPU or, without one, the CPU.</summary>
        public string? Device { get; set; }

        /// <summary>Whether to fall back to the CPU, with a warning, if the GPU is missing. Null: no if <see cref="Device"/> is set;
        /// otherwise the <c>MLContext</c>'s setting.</summary>
        public bool? FallbackToCpu { get; set; }

        /// <summary>
        /// Precision of the matrix products in search and training, by default float32. Class features and predictions are always float32,
        /// and so is validation, except with <see cref="ComputePrecision.TensorFloat32"/> on a GPU.
        /// </summary>
        public ComputePrecision Precision { get; set; }

        /// <summary>
        /// Whether to configure glibc's allocator, for the whole process, to keep freed blocks instead of returning each to the system,
        /// which makes steps faster; free memory is returned when the fit ends. Has no effect on systems without glibc.
        /// </summary>
        public bool TuneAllocator { get; set; } = true;

        /// <summary>Images per forward pass in prediction, at least 1.</summary>
        public int PredictionBatchSize { get; set; } = DefaultPredictionBatchSize;

        /// <summary>
        /// Folder for checkpoints, from which a later fit resumes one that was interrupted, killed or cancelled: with the same options,
        /// data and CLIP, on the same kind of machine and with the same number of threads, the result is bit-identical to that of an
        /// uninterrupted fit; a different number of threads causes a warning. A checkpoint of a different fit is rejected. A completed fit
        /// removes its checkpoints, but see <see cref="WorkspacePerDataSet"/>. The two latest checkpoints are kept, each flushed to disk;
        /// if neither can be read, the fit throws and nothing is deleted. Only one fit at a time can use the folder, which is created if
        /// missing. Null: no checkpoints.
        /// </summary>
        public string? WorkspacePath { get; set; }

        /// <summary>
        /// Whether the workspace holds fits on several data sets, such as the folds of a cross-validation: each has a subfolder, named
        /// after its classes and images, which is kept after the fit completes. If an interrupted cross-validation is run again with the
        /// same options, it takes completed folds from there and resumes the interrupted one. Delete the folder when it is no longer
        /// needed. Requires <see cref="WorkspacePath"/>.
        /// </summary>
        public bool WorkspacePerDataSet { get; set; }

        /// <summary>Maximum time between two checkpoints within an epoch, above 0 and at most 365 days. A checkpoint is also written before
        /// every epoch and when the fit is cancelled.</summary>
        public TimeSpan CheckpointInterval { get; set; } = TimeSpan.FromMinutes(10);
    }
}
