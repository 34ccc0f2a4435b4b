using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Mixtures of random prompts.</summary>
internal static class RandomMixture
{
    /// <summary>A mixture for each branch of a CLIP, with N(0, 1) prompts and the softmax of N(0, 1) as weights. The caller owns
    /// them.</summary>
    public static BranchPair<MixtureBranch> Create(int[] candidates, ClipConfig config, Generator generator) =>
        new(Text: Branch(candidates, config.Text, generator), Image: Branch(candidates, config.Image, generator));

    /// <summary>A mixture for one branch. The caller owns it.</summary>
    public static MixtureBranch Branch(int[] candidates, ClipTransformerConfig shape, Generator generator)
    {
        using var scope = NewDisposeScope();
        return Branch(candidates, shape, randn(shape.Layers, candidates.Length, generator: generator).softmax(-1), generator);
    }

    /// <summary>A mixture for one branch with given weights, [layers, candidates]. The caller owns it.</summary>
    public static MixtureBranch Branch(int[] candidates, ClipTransformerConfig shape, Tensor weights, Generator generator)
    {
        using var scope = NewDisposeScope();
        return MixtureBranch.From(
            candidates,
            [.. Enumerable.Range(0, shape.Layers).Select(_ => randn(candidates.Sum(), shape.Width, generator: generator))],
            weights,
            CPU
        );
    }
}
