using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>One layer's matrices in the memory layout of oneDNN's kernels; the biases are used as they are.</summary>
/// <param name="Qkv">[3 · width, width]; in the last layer the keys and values alone, [2 · width, width].</param>
/// <param name="Rest">The matrices after the attention; null in the last layer, where only the class tokens are left.</param>
internal sealed record PackedBlock(Tensor Qkv, PackedBlock.Finish? Rest)
{
    /// <summary>The matrices after the attention.</summary>
    /// <param name="Out">[width, width]</param>
    /// <param name="Up">[mlp, width]</param>
    /// <param name="Down">[width, mlp]</param>
    public sealed record Finish(Tensor Out, Tensor Up, Tensor Down);
}

/// <summary>A copy of the image tower's matrices for prediction by <see cref="FusedOperators"/>, shared by all models of one CLIP. It takes
/// as much memory as the matrices themselves.</summary>
internal sealed class PackedTower : IDisposable
{
    // The products of narrower towers take too little time for the difference to matter.
    private const int LeastWidth = 256;

    private PackedTower(IReadOnlyList<PackedBlock> blocks) => Blocks = blocks;

    /// <summary>One per layer.</summary>
    public IReadOnlyList<PackedBlock> Blocks { get; }

    /// <summary>Whether a tower predicts faster with a packed copy.</summary>
    public static bool IsWorthwhileFor(ImageWeights weights) =>
        FusedOperators.IsAvailable && weights.Device.type == TorchSharp.DeviceType.CPU && weights.Config.Image.Width >= LeastWidth;

    /// <param name="weights">The frozen image tower, float32 on the CPU; not owned.</param>
    public static PackedTower From(ImageWeights weights)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long width = weights.Config.Image.Width,
            tokens = 1 + (long)weights.Config.Grid * weights.Config.Grid;
        int last = weights.Blocks.Count - 1;
        var tower = new PackedTower([
            .. weights.Blocks.Select(
                (block, layer) =>
                    layer < last
                        ? new PackedBlock(
                            Packed(block.QkvWeight),
                            new(Packed(block.OutWeight), Packed(block.UpWeight), Packed(block.DownWeight))
                        )
                        : new PackedBlock(Packed(block.QkvWeight.narrow(0, width, 2 * width).contiguous()), Rest: null)
            ),
        ]);
        foreach (Tensor tensor in tower.Tensors)
            tensor.DetachFromDisposeScope();
        return tower;

        Tensor Packed(Tensor weight) => FusedOperators.Pack(weight, tokens);
    }

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors)
            tensor.Dispose();
    }

    private IEnumerable<Tensor> Tensors =>
        Blocks.SelectMany(block => block.Rest is { } rest ? new[] { block.Qkv, rest.Out, rest.Up, rest.Down } : [block.Qkv]);
}
