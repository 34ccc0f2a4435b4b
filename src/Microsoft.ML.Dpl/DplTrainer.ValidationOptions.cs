namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The rows that the search's alphas are stepped on and training epochs are compared by, see <see cref="Options.Validation"/>:
    /// at most one of the three is given.</summary>
    public sealed class ValidationOptions
    {
        /// <summary>Training rows of each class that a search sets aside for validation where nothing else is said: see
        /// <see cref="RowsPerClass"/>.</summary>
        public const int DefaultRowsPerClass = 4;

        internal ValidationOptions() { }

        /// <summary>The rows themselves. Null: a share of the training rows, see <see cref="RowsPerClass"/> and
        /// <see cref="Fraction"/>.</summary>
        public IDataView? Set { get; set; }

        /// <summary>
        /// Training rows of each class that are set aside for validation, at least 1; never all rows of a class. Null: what
        /// <see cref="Fraction"/> says; without it, <see cref="DefaultRowsPerClass"/> for a search and none where
        /// <see cref="Options.Configuration"/> is given. Not together with <see cref="Set"/> or <see cref="Fraction"/>.
        /// </summary>
        public int? RowsPerClass { get; set; }

        /// <summary>
        /// Fraction of each class's training rows that is set aside for validation, between 0 and 1, rounded to whole rows; at least one
        /// row of each class and never all. Null: see <see cref="RowsPerClass"/>. Not together with <see cref="Set"/> or
        /// <see cref="RowsPerClass"/>.
        /// </summary>
        public double? Fraction { get; set; }

        /// <summary>
        /// Whether what the validation rows chose is trained on these rows, too. Its validation accuracy is then that of the short training
        /// in which it was compared to others, and unknown where nothing was compared. Null: yes, where configurations are compared
        /// (<see cref="SearchOptions.Compare"/>) and no <see cref="TrainingOptions.Patience"/> needs the rows. It cannot be asked for where
        /// <see cref="Options.Configuration"/> is given: put the rows into the training set instead.
        /// </summary>
        public bool? Refit { get; set; }
    }
}
