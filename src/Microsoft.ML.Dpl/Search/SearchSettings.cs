using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Search;

/// <summary>Settings of the bilevel search; the defaults are the paper's.</summary>
internal sealed record SearchSettings : PromptOptimizerSettings
{
    public SearchSettings() => Epochs = 60;

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> Candidates { get; init; } = [0, 2, 4, 6];

    public double AlphaLearningRate { get; init; } = 0.0035;

    /// <summary>
    /// Whether every step samples one candidate for each layer, with its softmax weight as the probability, and computes only with these,
    /// where the paper mixes all candidates. Shorter candidates then share the rows of the longest one, so that a row is trained in every
    /// step that samples a sufficient length for its layer. The alphas get the gradients of the mixture's weights, evaluated at the sampled
    /// candidates (straight-through, Dong, Yang, CVPR 2019, arXiv 1910.04465).
    /// </summary>
    public bool SinglePath { get; init; }

    /// <summary>
    /// Fraction of the steps, 0 to 1, over which the alphas' learning rate rises from 0, since untrained prompts say little about their
    /// lengths.
    /// </summary>
    public double AlphaWarmUp { get; init; }

    /// <summary>
    /// Factor of the alphas at the end of the search, at least 1. It rises geometrically from 1, so that layers undecided at first become
    /// decided by the end.
    /// </summary>
    public double FinalSharpness { get; init; } = 1;

    /// <summary>
    /// Regularisers and gradient projection of the prompt steps; null: none. The alpha steps use the cross-entropy alone.
    /// </summary>
    public ObjectiveSettings? Objective { get; init; }

    /// <summary>Whether the second stage trains the mixture instead of one chosen candidate per layer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool KeepsMixture { get; init; }

    /// <summary>Seed for sampling candidates.</summary>
    public int Seed { get; init; }

    /// <summary>The factor of the alphas at one step.</summary>
    /// <param name="done">Fraction of the steps already taken, 0 to 1.</param>
    public double SharpnessAt(double done) => Math.Pow(FinalSharpness, done);

    /// <summary>The alphas' learning rate at one step.</summary>
    /// <inheritdoc cref="SharpnessAt"/>
    public double AlphaLearningRateAt(double done) => AlphaLearningRate * (AlphaWarmUp == 0 ? 1 : Math.Min(1, done / AlphaWarmUp));

    public double AlphaBeta1 { get; init; } = 0.5;

    public double AlphaBeta2 { get; init; } = 0.999;

    /// <summary>
    /// Number of epochs in which no layer's choice changes after which the search may end, at least 1; null: all epochs are run.
    /// </summary>
    public int? Patience { get; init; }

    /// <summary>The same settings with the number of steps converted to epochs.</summary>
    /// <param name="batches">Batches per epoch, at least 1.</param>
    public SearchSettings Over(int batches) => this with { Epochs = EpochsOf(batches), Steps = null };

    /// <summary>Lead in softmax weight over the runner-up from which a choice counts as decided, 0 to 1.</summary>
    public double Margin { get; init; } = 0.1;
}
