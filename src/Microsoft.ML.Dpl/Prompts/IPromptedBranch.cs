namespace Microsoft.ML.Dpl.Prompts;

/// <summary>The prompts of one branch, searched or fixed.</summary>
internal interface IPromptedBranch
{
    /// <summary>One entry per layer, null for a plain block; made anew for every forward pass, in the caller's dispose scope.</summary>
    IReadOnlyList<LayerPrompt?> Layers();
}

/// <summary>A branch without prompts: plain CLIP.</summary>
internal sealed class PlainBranch(int layers) : IPromptedBranch
{
    private readonly LayerPrompt?[] _layers = new LayerPrompt?[layers];

    public IReadOnlyList<LayerPrompt?> Layers() => _layers;
}
