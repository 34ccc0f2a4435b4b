using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;

namespace Microsoft.ML.Dpl.Search;

/// <summary>Everything that the search learns.</summary>
/// <param name="Branches">The alphas and candidate prompts of both branches; owned by this object.</param>
internal sealed record Supernet(BranchPair<SupernetBranch> Branches) : IDisposable
{
    /// <summary>[layers, candidates] for each branch, in the order of <see cref="BranchPair{T}.ImageFirst"/>.</summary>
    public IEnumerable<Parameter> Alphas => Branches.ImageFirst.Select(branch => branch.Alphas);

    /// <summary>[Σ candidates, width] for each layer of both branches, in the same order of branches.</summary>
    public IEnumerable<Parameter> Prompts => Branches.ImageFirst.SelectMany(branch => branch.Rows);

    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Branches.Text.RequireGradients(ofAlphas, ofPrompts);
        Branches.Image.RequireGradients(ofAlphas, ofPrompts);
    }

    public void Dispose()
    {
        Branches.Text.Dispose();
        Branches.Image.Dispose();
    }
}
