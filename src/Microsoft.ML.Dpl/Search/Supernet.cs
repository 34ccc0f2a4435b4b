using TorchSharp.Modules;

namespace Microsoft.ML.Dpl.Search;

/// <summary>Everything the search learns, both branches. Owns them.</summary>
internal sealed record Supernet(SupernetBranch Image, SupernetBranch Text) : IDisposable
{
    public IEnumerable<Parameter> Alphas => [Image.Alphas, Text.Alphas];

    public IEnumerable<Parameter> Prompts => [.. Image.Rows, .. Text.Rows];

    public void RequireGradients(bool ofAlphas, bool ofPrompts)
    {
        Image.RequireGradients(ofAlphas, ofPrompts);
        Text.RequireGradients(ofAlphas, ofPrompts);
    }

    public void Dispose()
    {
        Image.Dispose();
        Text.Dispose();
    }
}
