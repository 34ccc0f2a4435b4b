namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The validation rows, on which the search's alphas are updated and training epochs are compared; see
    /// <see cref="Options.Validation"/>. At most one of <see cref="Set"/>, <see cref="RowsPerClass"/> and <see cref="Fraction"/> may be
    /// set.</summary>
    public sealed class ValidationOptions
    {
        /// <summary>Training rows per class that a search sets aside for validation by default; see <see cref="RowsPerClass"/>.</summary>
        public const int DefaultRowsPerClass = 4;

        internal ValidationOptions() { }

        /// <summary>A separate validation set. Null: some of the training rows, see <see cref="RowsPerClass"/> and
        /// <see cref="Fraction"/>.</summary>
        public IDataView? Set { get; set; }

        /// <summary>
        /// Training rows per class to set aside for validation, at least 1; never all rows of a class. Null: determined by
        /// <see cref="Fraction"/> or, if that is null too, <see cref="DefaultRowsPerClass"/> for a search and none if
        /// <see cref="Options.Configuration"/> is given. Cannot be combined with <see cref="Set"/> or <see cref="Fraction"/>.
        /// </summary>
        public int? RowsPerClass { get; set; }

        /// <summary>
        /// Fraction of each class's training rows to set aside for validation, between 0 and 1 (exclusive), rounded to whole rows; at least
        /// one row of each class and never all. Null: see <see cref="RowsPerClass"/>. Cannot be combined with <see cref="Set"/> or
        /// <see cref="RowsPerClass"/>.
        /// </summary>
        public double? Fraction { get; set; }

        /// <summary>
        /// Whether to calibrate the trained model's probabilities by temperature scaling: the temperature that divides the logits is fitted
        /// to the validation rows, so that about 80 % of the images that are predicted with a probability of 80 % are classified correctly.
        /// Predicted classes do not change. The temperature becomes part of the model's logit scale in zips, exported prompts and ONNX.
        /// Requires validation rows that were not trained on, so it cannot be combined with <see cref="Refit"/>, which is then off by
        /// default. With only a few dozen rows the temperature is a rough estimate. A fit that was cancelled or has diverged is not
        /// calibrated.
        /// </summary>
        public bool Calibrate { get; set; }

        /// <summary>
        /// Whether the configuration chosen with the validation rows is also trained on these rows. Its validation accuracy is then that of
        /// the short training run in which it was compared with others, and unknown if there was no comparison. Null: yes with
        /// <see cref="TrainingRecipe.Robust"/> if configurations are compared (<see cref="SearchOptions.Compare"/>) and neither
        /// <see cref="TrainingOptions.Patience"/> nor <see cref="Calibrate"/> needs the rows. It cannot be used if
        /// <see cref="Options.Configuration"/> is given: add the rows to the training set instead.
        /// </summary>
        public bool? Refit { get; set; }
    }
}
