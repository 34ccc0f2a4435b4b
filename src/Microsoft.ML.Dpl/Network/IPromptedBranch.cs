using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>The prompts of one branch, searched or fixed.</summary>
internal interface IPromptedBranch
{
    /// <summary>Everything that a step may change; owned by the branch.</summary>
    IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>One entry per layer, null for a plain block; made anew for every forward pass, in the caller's dispose scope.</summary>
    /// <param name="stand">What stands for each of <see cref="Parameters"/> in this pass, equal in value.</param>
    IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand);
}

/// <summary>What all branches share.</summary>
internal static class PromptedBranches
{
    /// <summary>The layers with the parameters standing for themselves.</summary>
    public static IReadOnlyList<LayerPrompt?> Layers(this IPromptedBranch branch) => branch.Layers(parameter => parameter);

    /// <summary>A parameter with a copy of the values, which no dispose scope owns; gradients are asked for later.</summary>
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
