namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The first stage, which chooses how many prompt rows each layer has; see <see cref="Options.Search"/>. What SGD does in both
    /// stages, <see cref="TrainingOptions"/> says.</summary>
    public sealed class SearchOptions
    {
        internal SearchOptions() { }

        /// <summary>Epochs of search, at least 1. Null: as many as make up a quarter of training's steps; 60 with
        /// <see cref="TrainingRecipe.Paper"/>, whose first is a warm-up at a learning rate of 1e-5 for the prompts (or
        /// <see cref="LearningRate"/>, where that is lower).</summary>
        public int? Epochs { get; set; }

        /// <summary>Highest learning rate of the search's prompts, above 0. Null: 0.001; 0.0035 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? LearningRate { get; set; }

        /// <summary>Highest learning rate of the alphas (Adam), above 0. Null: 0.01; 0.0035 with <see cref="TrainingRecipe.Paper"/>.</summary>
        public double? AlphaLearningRate { get; set; }

        /// <summary>Prompt lengths that the search chooses from, increasing from 0. Null: 0, 4, 8, 16; 0, 2, 4, 6 with
        /// <see cref="TrainingRecipe.Paper"/>.</summary>
        public IReadOnlyList<int>? CandidateLengths { get; set; }

        /// <summary>
        /// The search ends once no layer's choice has changed for this many epochs, at least 1, and every layer's choice leads by
        /// <see cref="Margin"/>. Null: all <see cref="Epochs"/> are run. Learning rates follow the schedule of all epochs in either case.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>
        /// Whether what was searched is compared by short trainings to uniform prompts of the shortest and the longest candidate
        /// length, and the one with the lowest validation loss is trained. Null: yes; no with <see cref="TrainingRecipe.Paper"/>, and for a
        /// search alone.
        /// </summary>
        public bool? Compare { get; set; }

        /// <summary>What becomes of the search, and is compared to uniform lengths where <see cref="Compare"/> asks for it.</summary>
        public SearchResult Result { get; set; }

        /// <summary>By how much of the softmax weight a layer's choice must lead the runner-up to count as decided, 0 to 1.</summary>
        public double Margin { get; set; } = 0.1;
    }
}
