namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The first stage, which chooses how many prompt rows each layer has; see <see cref="Options.Search"/>. The options of the
    /// optimizer in both stages are in <see cref="TrainingOptions"/>.</summary>
    public sealed class SearchOptions
    {
        internal SearchOptions() { }

        /// <summary>Number of search epochs, at least 1. Null: as many as amount to a quarter of the training steps; 60 with
        /// <see cref="TrainingRecipe.Paper"/>, the first of which is a warm-up at a learning rate of 1e-5 for the prompts (or
        /// <see cref="LearningRate"/>, if that is lower).</summary>
        public int? Epochs { get; set; }

        /// <summary>Peak learning rate of the prompts during the search, above 0. Null: 0.001; 0.0035 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? LearningRate { get; set; }

        /// <summary>Peak learning rate of the alphas (Adam), above 0. Null: 0.01; 0.0035 with <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? AlphaLearningRate { get; set; }

        /// <summary>Prompt lengths that the search chooses from, increasing from 0. Null: 0, 4, 8, 16; 0, 2, 4, 6 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public IReadOnlyList<int>? CandidateLengths { get; set; }

        /// <summary>
        /// Early stopping: the search ends once no layer's choice has changed for this many epochs, at least 1, and every layer's choice
        /// leads by <see cref="Margin"/>. Null: all <see cref="Epochs"/> are run. In either case the learning rates follow the schedule for
        /// all epochs.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>
        /// Whether the search result is compared, in short training runs, with uniform prompts of the shortest and the longest candidate
        /// length, so that the one with the lowest validation loss is trained. Null: yes, but no with <see cref="TrainingRecipe.Paper"/>
        /// and for a search without training.
        /// </summary>
        public bool? Compare { get; set; }

        /// <summary>What the search produces, and what is compared with uniform lengths if <see cref="Compare"/> is on.</summary>
        public SearchResult Result { get; set; }

        /// <summary>The lead in softmax weight over the runner-up from which a layer's choice counts as decided, 0 to 1.</summary>
        public double Margin { get; set; } = 0.1;
    }
}
