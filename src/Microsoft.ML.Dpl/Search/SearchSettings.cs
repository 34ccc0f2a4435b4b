using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl.Search;

/// <summary>How the bilevel search runs; the defaults are the paper's.</summary>
internal sealed record SearchSettings : PromptOptimizerSettings
{
    public SearchSettings() => Epochs = 60;

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> Candidates { get; init; } = [0, 2, 4, 6];

    public double AlphaLearningRate { get; init; } = 0.0035;

    /// <summary>
    /// Whether every step draws one candidate for each layer with the probability of its softmax weight and computes with these alone,
    /// where the paper mixes all of them. Shorter candidates then share the rows of the longest one, so that each row is trained in every
    /// step that draws its layer long enough. The alphas' gradients are those of the mixture's weights at the drawn candidates
    /// (straight-through, Dong, Yang, CVPR 2019, arXiv 1910.04465).
    /// </summary>
    public bool SinglePath { get; init; }

    /// <summary>Share of the steps, 0 to 1, in which the alphas' learning rate rises from 0: prompts that have learnt nothing yet say
    /// little of their lengths.</summary>
    public double AlphaWarmUp { get; init; }

    /// <summary>What the alphas are multiplied with in the end, at least 1; it rises to that from 1, each step by the same factor, so that
    /// what is undecided at first is decided in the end.</summary>
    public double FinalSharpness { get; init; } = 1;

    /// <summary>What is done beside the cross-entropy in the prompt steps; null: nothing. The alphas' loss is the cross-entropy
    /// alone.</summary>
    public ObjectiveSettings? Objective { get; init; }

    /// <summary>Whether training goes on with the mixture.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool KeepsMixture { get; init; }

    /// <summary>Seed of the drawn candidates.</summary>
    public int Seed { get; init; }

    /// <summary>The factor of the alphas at one step.</summary>
    /// <param name="done">Share of the steps that were taken, 0 to 1.</param>
    public double SharpnessAt(double done) => Math.Pow(FinalSharpness, done);

    /// <summary>The alphas' learning rate at one step.</summary>
    /// <inheritdoc cref="SharpnessAt"/>
    public double AlphaLearningRateAt(double done) => AlphaLearningRate * (AlphaWarmUp == 0 ? 1 : Math.Min(1, done / AlphaWarmUp));

    public double AlphaBeta1 { get; init; } = 0.5;

    public double AlphaBeta2 { get; init; } = 0.999;

    /// <summary>Epochs without a change of any layer's choice after which the search may end, at least 1; null: all epochs are
    /// run.</summary>
    public int? Patience { get; init; }

    /// <summary>The same with the epochs counted.</summary>
    /// <param name="batches">Batches in an epoch, at least 1.</param>
    public SearchSettings Over(int batches) => this with { Epochs = EpochsOf(batches), Steps = null };

    /// <summary>Softmax weight by which a choice leads the runner-up to count as decided, 0 to 1.</summary>
    public double Margin { get; init; } = 0.1;
}
