using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What the search leaves to training. Owns the branches.</summary>
/// <param name="Result">The choice.</param>
/// <param name="Image">The chosen candidates' prompts as the search left them: the best there is until an epoch of training has ended.</param>
/// <param name="Text">The same for the text layers.</param>
/// <param name="WasCancelled">Whether the search was cut short from outside.</param>
internal sealed record Searched(SearchResult Result, FixedBranch Image, FixedBranch Text, bool WasCancelled) : IDisposable
{
    /// <summary>These prompts in place of trained ones; disposing twice does no harm.</summary>
    public Trained AsTrained() => new(Image, Text, ValidationAccuracy: null, WasCancelled: true);

    public void Dispose()
    {
        Image.Dispose();
        Text.Dispose();
    }
}

/// <summary>What a fit ends with. Owns the branches.</summary>
/// <param name="Image">Image prompts.</param>
/// <param name="Text">Text prompts.</param>
/// <param name="ValidationAccuracy">Of these prompts, 0 to 1; null where it was not measured.</param>
/// <param name="WasCancelled">Whether the fit was cut short from outside.</param>
internal sealed record Trained(FixedBranch Image, FixedBranch Text, double? ValidationAccuracy = null, bool WasCancelled = false) : IDisposable
{
    /// <summary>Whether no layer has a prompt.</summary>
    public bool IsEmpty => !Image.Parameters.Concat(Text.Parameters).Any();

    public void Dispose()
    {
        Image.Dispose();
        Text.Dispose();
    }
}
