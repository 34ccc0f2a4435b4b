using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>Where initial prompt values come from: a normal distribution, or a uniform one on [0, 1).</summary>
internal sealed class PromptDistribution
{
    private readonly double? _standardDeviation;

    private PromptDistribution(double? standardDeviation) => _standardDeviation = standardDeviation;

    /// <summary>U(0, 1): the text prompts of the authors' search.</summary>
    public static PromptDistribution Uniform { get; } = new(null);

    /// <summary>N(0, σ²).</summary>
    public static PromptDistribution Normal(double standardDeviation) => new(standardDeviation);

    /// <summary>[rows, width] on the CPU, in the caller's dispose scope.</summary>
    public Tensor Draw(int rows, int width, Generator generator) =>
        _standardDeviation is double sigma ? randn(rows, width, generator: generator).mul_(sigma) : rand(rows, width, generator: generator);
}
