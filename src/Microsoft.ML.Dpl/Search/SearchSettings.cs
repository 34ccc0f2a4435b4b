using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Search;

/// <summary>How the bilevel search runs; the defaults are the paper's.</summary>
internal sealed record SearchSettings : PromptOptimizerSettings
{
    public int Epochs { get; init; } = 60;

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> Candidates { get; init; } = [0, 2, 4, 6];

    public double AlphaLearningRate { get; init; } = 0.0035;

    /// <summary>Share of the steps, 0 to 1, in which prompts are trained under equal alphas before these are stepped.</summary>
    public double AlphaWarmUp { get; init; }

    /// <summary>What the alphas are multiplied with in the end, at least 1; it rises to that from 1, each step by the same factor.</summary>
    public double FinalSharpness { get; init; } = 1;

    public bool Samples { get; init; }

    public int Seed { get; init; }

    public double AlphaBeta1 { get; init; } = 0.5;

    public double AlphaBeta2 { get; init; } = 0.999;

    /// <summary>Epochs without a change of any layer's choice after which the search may end, at least 1; null: all epochs are
    /// run.</summary>
    public int? Patience { get; init; }

    /// <summary>Softmax weight by which a choice leads the runner-up to count as decided, 0 to 1.</summary>
    public double Margin { get; init; } = 0.1;
}
