using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// Linear maps from the text prompt of a layer to the image prompt of the same layer, by which MaPLe couples the towers (Khattak,
/// Rasheed, Maaz, Khan, Khan, CVPR 2023, arXiv 2210.03117). Owns its parameters.
/// </summary>
internal sealed class Coupling : IDisposable
{
    private readonly Parameter?[] _weights; // [image width, text width]
    private readonly Parameter?[] _biases; // [image width]

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="maps">The weight [image width, text width] and the bias [image width] of each layer; null for a layer without a
    /// prompt.</param>
    /// <param name="device">The device of the prompts.</param>
    public Coupling(IReadOnlyList<(Tensor Weight, Tensor Bias)?> maps, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _weights = [.. maps.Select(map => map is { } values ? PromptedBranches.Learned(values.Weight.to(device)) : null)];
        _biases = [.. maps.Select(map => map is { } values ? PromptedBranches.Learned(values.Bias.to(device)) : null)];
    }

    /// <summary>Number of coupled layers, which are the first ones of both towers.</summary>
    public int Layers => _weights.Length;

    /// <summary>The weight and the bias of each layer that has a prompt; owned by this object.</summary>
    public IReadOnlyList<Parameter> Parameters =>
        [.. _weights.Zip(_biases, (weight, bias) => new[] { weight, bias }).SelectMany(map => map).OfType<Parameter>()];

    /// <summary>New maps, uniform in ±1/√(text width). As in MaPLe, all layers after the first start as copies of one draw.</summary>
    /// <param name="used">Whether each coupled layer has a prompt.</param>
    /// <param name="textWidth">Width of the text tower.</param>
    /// <param name="imageWidth">Width of the image tower.</param>
    /// <param name="generator">A CPU generator, so that a seed gives the same numbers on every device.</param>
    /// <param name="device">The device of the prompts.</param>
    public static Coupling Create(IReadOnlyList<bool> used, int textWidth, int imageWidth, Generator generator, Device device)
    {
        using var scope = NewDisposeScope();
        double bound = 1 / Math.Sqrt(textWidth);
        using Scalar held = bound;
        Tensor Draw(params long[] shape) => rand(shape, ScalarType.Float32, generator: generator).TimesInPlace(2 * bound).sub_(held);
        (Tensor Weight, Tensor Bias) first = (Draw(imageWidth, textWidth), Draw(imageWidth)),
            deeper = (Draw(imageWidth, textWidth), Draw(imageWidth));
        return new Coupling([.. used.Select((isUsed, layer) => isUsed ? (layer == 0 ? first : deeper) : ((Tensor, Tensor)?)null)], device);
    }

    /// <summary>The image rows of a layer: text rows · weightᵀ + bias.</summary>
    /// <param name="layer">A coupled layer with a prompt.</param>
    /// <param name="textRows">[rows, text width]</param>
    /// <param name="stand">Returns the tensor to use in place of each parameter, equal in value.</param>
    /// <returns>[rows, image width] in the caller's dispose scope.</returns>
    public Tensor Project(int layer, Tensor textRows, Func<Parameter, Tensor> stand) =>
        F.linear(textRows, stand(_weights[layer]!), stand(_biases[layer]!));

    public void Dispose()
    {
        foreach (Parameter parameter in Parameters)
            parameter.Dispose();
    }
}

/// <summary>An image branch whose first layers get their prompts from the text branch.</summary>
/// <param name="text">The text branch; not owned, must outlive this branch.</param>
/// <param name="coupling">The maps from the text prompts; owned.</param>
/// <param name="rest">The image layers after the coupled ones, with prompts of their own; owned.</param>
internal sealed class CoupledBranch(FixedBranch text, Coupling coupling, FixedBranch rest) : IFixedBranch
{
    public IReadOnlyList<int> Lengths => [.. text.Lengths.Take(coupling.Layers), .. rest.Lengths];

    public IReadOnlyList<Parameter> Parameters => [.. coupling.Parameters, .. rest.Parameters];

    public IReadOnlyList<Tensor?> ConstantRows()
    {
        using var noGrad = no_grad();
        return [.. Projected(parameter => parameter), .. rest.Rows];
    }

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) =>
        [
            .. Projected(stand).Zip(text.Layers(stand), (rows, prompt) => prompt is null ? null : prompt with { Rows = rows! }),
            .. rest.Layers(stand),
        ];

    public void RequireGradients(bool required)
    {
        foreach (Tensor parameter in Parameters)
            parameter.requires_grad_(required);
    }

    public void Dispose()
    {
        coupling.Dispose();
        rest.Dispose();
    }

    private IEnumerable<Tensor?> Projected(Func<Parameter, Tensor> stand) =>
        text.Rows.Take(coupling.Layers).Select((rows, layer) => rows is null ? null : coupling.Project(layer, stand(rows), stand));
}
