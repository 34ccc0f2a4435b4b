using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The plain text tower as arrays: what a graph for another runtime is written from, with libtorch or without.</summary>
/// <param name="Config">The whole model's shape.</param>
/// <param name="Weight">An array by the name that <see cref="ClipLayout.Text"/> gives it, with the constants of
/// <see cref="BlockWeights"/> folded in; the logit scale is not among them. Of a tower in libtorch's memory a new copy each time.</param>
internal sealed record TextTowerArrays(ClipConfig Config, Func<string, FloatArray> Weight)
{
    /// <summary>Reads from a tower, which must not be disposed while this is used.</summary>
    public static TextTowerArrays From(TextWeights weights)
    {
        var tensors = FoldedWeights.Named(weights).ToDictionary(StringComparer.Ordinal);
        return new TextTowerArrays(weights.Config, name => FloatArray.CopyOf(tensors[name]));
    }
}
