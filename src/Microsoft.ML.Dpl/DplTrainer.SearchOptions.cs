namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>The first stage, which chooses how many prompt rows each layer has; see <see cref="Options.Search"/>. What SGD does in both
    /// stages, <see cref="TrainingOptions"/> says.</summary>
    public sealed class SearchOptions
    {
        internal SearchOptions() { }

        /// <summary>Epochs of search, at least 1. The first is a warm-up at a learning rate of 1e-5 for the prompts (or
        /// <see cref="LearningRate"/>, where that is lower).</summary>
        public int Epochs { get; set; } = 60;

        /// <summary>Learning rate of the search's prompts (SGD), above 0 and at most 1e38.</summary>
        public double LearningRate { get; set; } = 0.0035;

        /// <summary>Learning rate of the alphas (Adam), above 0 and at most 1e38.</summary>
        public double AlphaLearningRate { get; set; } = 0.0035;

        /// <summary>Prompt lengths that the search chooses from, increasing from 0.</summary>
        public IReadOnlyList<int> CandidateLengths { get; set; } = [0, 2, 4, 6];

        /// <summary>
        /// The search ends once no layer's choice has changed for this many epochs, at least 1, and every layer's choice leads by
        /// <see cref="Margin"/>. Null: all <see cref="Epochs"/> are run. Learning rates follow the schedule of all epochs in either case.
        /// </summary>
        public int? Patience { get; set; }

        /// <summary>By how much of the softmax weight a layer's choice must lead the runner-up to count as decided, 0 to 1.</summary>
        public double Margin { get; set; } = 0.1;
    }
}
