namespace Microsoft.ML.Dpl;

/// <summary>What a fit makes of its search.</summary>
public enum SearchResult
{
    /// <summary>The candidate of the largest alpha in each layer, trained afresh.</summary>
    Lengths,

    /// <summary>The searched mixture itself: every layer keeps all candidates with the weights that their alphas came to, and their prompts
    /// are trained on. It costs a prediction no more than its rows; see <see cref="TrainedMixture"/>.</summary>
    Mixture,
}
