using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

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

/// <summary>The prompts of both towers with their lengths decided, and what is learned beside them. Owns it all.</summary>
/// <param name="Branches">The prompts of the layers.</param>
/// <param name="Context">In the input of the text tower; null: none.</param>
/// <param name="Residual">Beside the class features; null: none.</param>
internal sealed record PromptSet(BranchPair<ITrainedBranch> Branches, InputContext? Context = null, TaskResidual? Residual = null)
    : IDisposable
{
    /// <summary>Of fixed lengths.</summary>
    public PromptSet(BranchPair<IFixedBranch> branches, InputContext? context = null, TaskResidual? residual = null)
        : this(branches.Select<ITrainedBranch>(branch => branch), context, residual) { }

    /// <summary>Of a mixture.</summary>
    public PromptSet(BranchPair<MixtureBranch> branches, InputContext? context = null, TaskResidual? residual = null)
        : this(branches.Select<ITrainedBranch>(branch => branch), context, residual) { }

    /// <summary>The branches as the towers take them.</summary>
    public BranchPair<IPromptedBranch> Passes => new(Text: Branches.Text.With(Context, Residual), Image: Branches.Image);

    /// <summary>Whether nothing is learned.</summary>
    public bool IsEmpty => Passes is { Text.Parameters.Count: 0, Image.Parameters.Count: 0 };

    /// <summary>Whether the layers keep all candidates.</summary>
    public bool IsMixture => Branches.Text is MixtureBranch;

    /// <summary>What a model keeps, copied to the CPU. The caller owns it.</summary>
    public PromptRows ToRows()
    {
        using var scope = NewDisposeScope();
        ContextRows? context = Context is null ? null : new ContextRows(Context.Layout, PromptRows.Copied(Context.Vectors)!);
        Tensor? offsets = PromptRows.Copied(Residual?.Offsets());
        if (Branches is { Text: MixtureBranch text, Image: MixtureBranch image })
            return PromptRows.From(new BranchPair<MixtureBranch>(text, image)) with { Context = context, ClassOffsets = offsets };
        static Tensor?[] Rows(ITrainedBranch branch) => [.. ((IFixedBranch)branch).ConstantRows().Select(PromptRows.Copied)];
        return new PromptRows(Rows(Branches.Text), Rows(Branches.Image), Context: context, ClassOffsets: offsets);
    }

    /// <summary>The same prompts again, to train on. The caller owns them.</summary>
    public PromptSet CopyMixture(Device device)
    {
        using PromptRows rows = ToRows();
        return new PromptSet(
            rows.Mixture!.Branches(rows, device),
            Context is null ? null : new InputContext(Context.Layout, Context.Vectors, device),
            Residual is null ? null : new TaskResidual(Residual.Values, Residual.Scale, device)
        );
    }

    public void Dispose()
    {
        // Coupled image prompts look at the text's.
        Branches.Image.Dispose();
        Branches.Text.Dispose();
        Context?.Dispose();
        Residual?.Dispose();
    }
}

/// <summary>What the search leaves to training. Owns the branches.</summary>
/// <param name="Report">The alphas of every epoch, and with them the choice.</param>
/// <param name="Prompts">The chosen candidates' prompts as the search left them: the best there is until an epoch of training has
/// ended.</param>
/// <param name="End">Training follows only a search that ended by itself.</param>
/// <param name="Temperature">What the logits are divided by, above 0.</param>
internal sealed record SearchStageResult(SearchReport Report, PromptSet Prompts, StageEnd End, double Temperature = 1) : IDisposable
{
    /// <summary>What a comparison to others trains of it.</summary>
    public Contender AsContender() => new(Report.Configuration, Prompts.IsMixture);

    /// <summary>These prompts in place of trained ones; disposing twice does no harm.</summary>
    /// <param name="end">Why they are not trained.</param>
    public TrainingStageResult AsTrained(StageEnd end) => new(Prompts, ValidationAccuracy: null, end, Temperature);

    public void Dispose() => Prompts.Dispose();
}

/// <summary>What a fit ends with. Owns the branches.</summary>
/// <param name="Prompts">The prompts of both branches.</param>
/// <param name="ValidationAccuracy">Of these prompts, 0 to 1; null where it was not measured.</param>
/// <param name="End">How the fit came to its end.</param>
/// <param name="Temperature">What the logits are divided by, above 0.</param>
/// <param name="Finalists">What was compared before; null or empty where nothing was.</param>
internal sealed record TrainingStageResult(
    PromptSet Prompts,
    double? ValidationAccuracy = null,
    StageEnd End = StageEnd.Whole,
    double Temperature = 1,
    IReadOnlyList<Finalist>? Finalists = null
) : IDisposable
{
    public void Dispose() => Prompts.Dispose();
}
