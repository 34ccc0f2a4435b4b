namespace Microsoft.ML.Dpl.Search;

/// <summary>How the bilevel search runs; the defaults are the paper's.</summary>
internal sealed record SearchSettings
{
    public int Epochs { get; init; } = 60;

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> Candidates { get; init; } = [0, 2, 4, 6];

    public double AlphaLearningRate { get; init; } = 0.0035;

    public double AlphaBeta1 { get; init; } = 0.5;

    public double AlphaBeta2 { get; init; } = 0.999;

    public double PromptLearningRate { get; init; } = 0.0035;

    public double Momentum { get; init; } = 0.9;

    public double WeightDecay { get; init; } = 5e-4;

    /// <summary>Longest gradient of all prompts together, above 0; null: gradients are taken as they are.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Epochs without a change of any layer's choice after which the search may end, at least 1; null: all epochs are
    /// run.</summary>
    public int? Patience { get; init; }

    /// <summary>Softmax weight by which a choice leads the runner-up to count as decided, 0 to 1.</summary>
    public double Margin { get; init; } = 0.1;
}
