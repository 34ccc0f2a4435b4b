using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>How a stage ended.</summary>
internal enum StageEnd
{
    /// <summary>It was completed.</summary>
    Whole,

    /// <summary>It was cancelled.</summary>
    Cancelled,

    /// <summary>A loss or a gradient became infinite or NaN.</summary>
    Diverged,
}

/// <summary>The trained prompts of both towers, and what is learned beside them. Owns all of it.</summary>
/// <param name="Branches">The prompts of the layers.</param>
/// <param name="Context">Context in the input of the text tower; null: none.</param>
/// <param name="Residual">Residual of the class features; null: none.</param>
internal sealed record PromptSet(BranchPair<ITrainedBranch> Branches, InputContext? Context = null, TaskResidual? Residual = null)
    : IDisposable
{
    /// <summary>Prompts of fixed lengths.</summary>
    public PromptSet(BranchPair<IFixedBranch> branches, InputContext? context = null, TaskResidual? residual = null)
        : this(branches.Select<ITrainedBranch>(branch => branch), context, residual) { }

    /// <summary>Prompts of a mixture.</summary>
    public PromptSet(BranchPair<MixtureBranch> branches, InputContext? context = null, TaskResidual? residual = null)
        : this(branches.Select<ITrainedBranch>(branch => branch), context, residual) { }

    /// <summary>The branches as input of the towers, the text branch with context and residual.</summary>
    public BranchPair<IPromptedBranch> Passes => new(Text: Branches.Text.With(Context, Residual), Image: Branches.Image);

    /// <summary>Whether nothing is learned.</summary>
    public bool IsEmpty => Passes is { Text.Parameters.Count: 0, Image.Parameters.Count: 0 };

    /// <summary>Whether the layers keep all candidates, mixed with constant weights.</summary>
    public bool IsMixture => Branches.Text is MixtureBranch;

    /// <summary>What a model stores, copied to the CPU. The caller owns it.</summary>
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

    /// <summary>A copy of a mixture, for training. The caller owns it.</summary>
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
        // Coupled image prompts refer to the text prompts, so they are disposed first.
        Branches.Image.Dispose();
        Branches.Text.Dispose();
        Context?.Dispose();
        Residual?.Dispose();
    }
}

/// <summary>The result of the search. Owns the prompts.</summary>
/// <param name="Report">The alphas of every epoch, which determine the choice.</param>
/// <param name="Prompts">The chosen candidates' prompts in their last state: the best available until an epoch of training has
/// ended.</param>
/// <param name="End">How the search ended; training follows only if it was completed.</param>
/// <param name="Temperature">Divisor of the logits, above 0.</param>
internal sealed record SearchStageResult(SearchReport Report, PromptSet Prompts, StageEnd End, double Temperature = 1) : IDisposable
{
    /// <summary>The contender for this result in a comparison.</summary>
    public Contender AsContender() => new(Report.Configuration, Prompts.IsMixture);

    /// <summary>These prompts in place of trained ones; disposing both objects is safe.</summary>
    /// <param name="end">Why there are no trained ones.</param>
    public TrainingStageResult AsTrained(StageEnd end) => new(Prompts, ValidationAccuracy: null, end, Temperature);

    public void Dispose() => Prompts.Dispose();
}

/// <summary>The result of training. Owns the prompts.</summary>
/// <param name="Prompts">The prompts of both branches.</param>
/// <param name="ValidationAccuracy">Accuracy of these prompts, 0 to 1; null if it was not measured.</param>
/// <param name="End">How the fit ended.</param>
/// <param name="Temperature">Divisor of the logits, above 0.</param>
/// <param name="Finalists">The results of a comparison; null or empty without one.</param>
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
