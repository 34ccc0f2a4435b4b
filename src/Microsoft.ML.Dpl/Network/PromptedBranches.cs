using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// The prompts of one layer, which enter its keys and values: the rows of all non-zero candidates and the weight of each candidate.
/// A layer of fixed length has one candidate, of weight 1.
/// </summary>
/// <param name="Rows">[Σ lengths, width], before LayerNorm</param>
/// <param name="Weights">[1 + candidates]: softmax of the layer's alphas, the plain block first; sums to 1</param>
/// <param name="Groups">The rows of each candidate.</param>
internal sealed record LayerPrompt(Tensor Rows, Tensor Weights, PromptGroups Groups)
{
    /// <summary>The largest number of prompt rows of a layer.</summary>
    public const int MaximumLength = 1024;

    /// <summary>Whether there is a single candidate, of weight 1.</summary>
    public bool IsFixed { get; init; }
}

/// <summary>The prompts of one tower, searched or fixed.</summary>
internal interface IPromptedBranch
{
    /// <summary>All parameters that a step may change; owned by the branch.</summary>
    IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>One entry per layer, null for a plain block; created for every forward pass, in the caller's dispose scope.</summary>
    /// <param name="stand">Returns the tensor to use in this pass in place of each of <see cref="Parameters"/>, equal in value.</param>
    IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand);

    /// <summary>[vectors, width] the context vectors in the input of the text tower; null without a context.</summary>
    /// <inheritdoc cref="Layers"/>
    Tensor? Context(Func<Parameter, Tensor> stand) => null;

    /// <summary>
    /// [classes, embedding] offsets added to the unit features of the classes, in the caller's dispose scope; null: none.
    /// </summary>
    Tensor? ClassOffsets() => null;

    /// <summary>Whether the tower is CLIP's own, without prompts.</summary>
    bool IsPlain => Parameters.Count == 0;
}

/// <summary>Prompts in which everything but the rows is fixed: what training updates and prediction uses.</summary>
internal interface ITrainedBranch : IPromptedBranch, IDisposable
{
    /// <summary>Sets whether the rows require gradients.</summary>
    void RequireGradients(bool required);
}

/// <summary>Prompts of fixed lengths, which the second stage trains.</summary>
internal interface IFixedBranch : ITrainedBranch
{
    /// <summary>The prompt length of each layer.</summary>
    IReadOnlyList<int> Lengths { get; }

    /// <summary>
    /// One [length, width] per layer, null where the length is 0, as prediction uses them. In the caller's dispose scope unless the branch
    /// owns them.
    /// </summary>
    IReadOnlyList<Tensor?> ConstantRows();
}

/// <summary>Helpers for all branches.</summary>
internal static class PromptedBranches
{
    /// <summary>The layers computed with the parameters themselves.</summary>
    public static IReadOnlyList<LayerPrompt?> Layers(this IPromptedBranch branch) => branch.Layers(parameter => parameter);

    /// <summary>The context computed with the parameters themselves.</summary>
    public static Tensor? Context(this IPromptedBranch branch) => branch.Context(parameter => parameter);

    /// <summary>The text branch together with what is learned beside the prompts of its layers; owns nothing.</summary>
    /// <param name="branch">The prompts of the layers.</param>
    /// <param name="context">Context in the tower's input; null: none.</param>
    /// <param name="residual">Residual of the class features; null: none.</param>
    public static IPromptedBranch With(this IPromptedBranch branch, InputContext? context, TaskResidual? residual)
    {
        if (context is not null)
            branch = new ContextBranch(branch, context);
        return residual is null ? branch : new ResidualBranch(branch, residual);
    }

    /// <summary>A parameter with a copy of the values, detached from dispose scopes; it does not require gradients yet.</summary>
    public static Parameter Learned(Tensor values)
    {
        var parameter = new Parameter(values.clone(), requires_grad: false);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}

/// <summary>A branch without prompts: plain CLIP.</summary>
internal sealed class PlainBranch(int layers) : IPromptedBranch
{
    private readonly LayerPrompt?[] _layers = new LayerPrompt?[layers];

    public IReadOnlyList<Parameter> Parameters => [];

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) => _layers;
}

/// <summary>
/// One branch with a fixed prompt length per layer, which the second stage trains. A layer of length 0 has no parameters.
/// </summary>
internal sealed class FixedBranch : IFixedBranch
{
    private readonly Parameter?[] _rows;
    private readonly PromptGroups?[] _groups;
    private readonly Tensor _onlyPrompt; // [2] = (0, 1): all weight on the one candidate

    /// <summary>Takes copies of the given values.</summary>
    /// <param name="rows">One [length, width] per layer; null where the length is 0.</param>
    /// <param name="device">The device of the branch.</param>
    public FixedBranch(IReadOnlyList<Tensor?> rows, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _rows = [.. rows.Select(r => r is null ? null : PromptedBranches.Learned(r.to(device)))];
        _groups = [.. _rows.Select(r => r is null ? null : new PromptGroups([(int)r.shape[0]], device))];
        _onlyPrompt = NativeTensor.From([0f, 1f], device: device).DetachFromDisposeScope();
    }

    /// <summary>The prompt length of each layer.</summary>
    public IReadOnlyList<int> Lengths => [.. _rows.Select(r => r is null ? 0 : (int)r.shape[0])];

    /// <summary>One [length, width] per layer, null where the length is 0; owned by this object.</summary>
    public IReadOnlyList<Parameter?> Rows => _rows;

    public IReadOnlyList<Tensor?> ConstantRows() => _rows;

    /// <summary>The prompt rows of all layers that have a prompt.</summary>
    public IReadOnlyList<Parameter> Parameters => [.. _rows.OfType<Parameter>()];

    /// <summary>New prompts of the given lengths.</summary>
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
        [
            .. _rows.Select(
                (rows, layer) => rows is null ? null : new LayerPrompt(stand(rows), _onlyPrompt, _groups[layer]!) { IsFixed = true }
            ),
        ];

    public void Dispose()
    {
        foreach (Tensor? rows in _rows)
            rows?.Dispose();
        foreach (PromptGroups? groups in _groups)
            groups?.Dispose();
        _onlyPrompt.Dispose();
    }
}

/// <summary>The distribution of initial prompt values: normal, or uniform on [0, 1).</summary>
internal sealed class PromptDistribution
{
    private readonly double? _standardDeviation;

    private PromptDistribution(double? standardDeviation) => _standardDeviation = standardDeviation;

    /// <summary>U(0, 1), as for the text prompts in the search of the paper's authors.</summary>
    public static PromptDistribution Uniform { get; } = new(null);

    /// <summary>N(0, σ²).</summary>
    public static PromptDistribution Normal(double standardDeviation) => new(standardDeviation);

    /// <summary>[rows, width] on the CPU, in the caller's dispose scope.</summary>
    public Tensor Draw(int rows, int width, Generator generator) =>
        _standardDeviation is double sigma
            ? randn(rows, width, ScalarType.Float32, generator: generator).TimesInPlace(sigma)
            : rand(rows, width, ScalarType.Float32, generator: generator);
}
