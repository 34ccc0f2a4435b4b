using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>How a stage came to its end.</summary>
internal enum StageEnd
{
    /// <summary>By itself.</summary>
    Whole,

    /// <summary>Cut short from outside.</summary>
    Cancelled,

    /// <summary>A loss or a gradient was no finite number.</summary>
    Diverged,
}

/// <summary>The prompts of both towers with their lengths decided, and the context in the texts. Owns them.</summary>
/// <param name="Branches">The prompts of the layers.</param>
/// <param name="Context">In the input of the text tower; null: none.</param>
internal sealed record PromptSet(BranchPair<IFixedBranch> Branches, InputContext? Context = null) : IDisposable
{
    /// <summary>The branches as the towers take them.</summary>
    public BranchPair<IPromptedBranch> Passes =>
        new(Text: Context is null ? Branches.Text : new ContextBranch(Branches.Text, Context), Image: Branches.Image);

    /// <summary>Whether nothing is learned.</summary>
    public bool IsEmpty => Passes is { Text.Parameters.Count: 0, Image.Parameters.Count: 0 };

    public void Dispose()
    {
        // Coupled image prompts look at the text's.
        Branches.Image.Dispose();
        Branches.Text.Dispose();
        Context?.Dispose();
    }
}

/// <summary>What the search leaves to training. Owns the branches.</summary>
/// <param name="Report">The alphas of every epoch, and with them the choice.</param>
/// <param name="Prompts">The chosen candidates' prompts as the search left them: the best there is until an epoch of training has
/// ended.</param>
/// <param name="End">Training follows only a search that ended by itself.</param>
/// <param name="Temperature">What the logits are divided by, above 0.</param>
internal sealed record Searched(DplSearchReport Report, PromptSet Prompts, StageEnd End, double Temperature = 1) : IDisposable
{
    /// <summary>These prompts in place of trained ones; disposing twice does no harm.</summary>
    /// <param name="end">Why they are not trained.</param>
    public Trained AsTrained(StageEnd end) => new(Prompts, ValidationAccuracy: null, end, Temperature);

    public void Dispose() => Prompts.Dispose();
}

/// <summary>What a fit ends with. Owns the branches.</summary>
/// <param name="Prompts">The prompts of both branches.</param>
/// <param name="ValidationAccuracy">Of these prompts, 0 to 1; null where it was not measured.</param>
/// <param name="End">How the fit came to its end.</param>
/// <param name="Temperature">What the logits are divided by, above 0.</param>
/// <param name="Finalists">What was compared before; null or empty where nothing was.</param>
internal sealed record Trained(
    PromptSet Prompts,
    double? ValidationAccuracy = null,
    StageEnd End = StageEnd.Whole,
    double Temperature = 1,
    IReadOnlyList<DplFinalist>? Finalists = null
) : IDisposable
{
    public void Dispose() => Prompts.Dispose();
}
