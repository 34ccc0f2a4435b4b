using Microsoft.ML.Dpl.Attention;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// What enters the keys and values of one layer: the rows of all its non-zero candidates and the weight of each candidate.
/// A layer of fixed length is the case of one candidate with weight 1.
/// </summary>
/// <param name="Rows">[Σ lengths, width], before LayerNorm</param>
/// <param name="Weights">[1 + candidates]: softmax of the layer's alphas, the plain block first; sums to 1</param>
/// <param name="Groups">Which rows are whose.</param>
internal sealed record LayerPrompt(Tensor Rows, Tensor Weights, PromptGroups Groups)
{
    /// <summary>The longest context a layer can have.</summary>
    public const int MaximumLength = 1024;
}
