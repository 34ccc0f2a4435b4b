using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>One branch with a chosen context length per layer: what the second stage trains. A layer of length 0 has no
/// parameters.</summary>
internal sealed class FixedBranch : IPromptedBranch, IDisposable
{
    private readonly Parameter?[] _rows;
    private readonly PromptGroups?[] _groups;
    private readonly Tensor _onlyPrompt; // [2] = (0, 1): all weight on the one candidate

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="rows">One [length, width] per layer; null where the length is 0.</param>
    /// <param name="device">Where this branch computes.</param>
    public FixedBranch(IReadOnlyList<Tensor?> rows, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _rows = [.. rows.Select(r => r is null ? null : PromptedBranches.Learned(r.to(device)))];
        _groups = [.. _rows.Select(r => r is null ? null : new PromptGroups([(int)r.shape[0]], device))];
        _onlyPrompt = NativeTensor.From([0f, 1f], device: device).DetachFromDisposeScope();
    }

    /// <summary>Context length of each layer.</summary>
    public IReadOnlyList<int> Lengths => [.. _rows.Select(r => r is null ? 0 : (int)r.shape[0])];

    /// <summary>One [length, width] per layer, null where the length is 0; owned by this object.</summary>
    public IReadOnlyList<Parameter?> Rows => _rows;

    /// <summary>What is trained.</summary>
    public IReadOnlyList<Parameter> Parameters => [.. _rows.OfType<Parameter>()];

    /// <summary>Fresh prompts of the given lengths.</summary>
    public static FixedBranch Create(
        IReadOnlyList<int> lengths,
        int width,
        PromptDistribution distribution,
        Generator generator,
        Device device
    )
    {
        using var scope = NewDisposeScope();
        return new FixedBranch([.. lengths.Select(length => length == 0 ? null : distribution.Draw(length, width, generator))], device);
    }

    public void RequireGradients(bool required)
    {
        foreach (Tensor rows in Parameters)
            rows.requires_grad_(required);
    }

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) =>
        [.. _rows.Select((rows, layer) => rows is null ? null : new LayerPrompt(stand(rows), _onlyPrompt, _groups[layer]!))];

    public void Dispose()
    {
        foreach (Tensor? rows in _rows)
            rows?.Dispose();
        foreach (PromptGroups? groups in _groups)
            groups?.Dispose();
        _onlyPrompt.Dispose();
    }
}
