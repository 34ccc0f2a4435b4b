using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The prompts of both branches: one of fixed length per layer, or a mixture of candidates. Owns the tensors.</summary>
/// <param name="Text">One [length, width] per text layer, null where the length is 0; for a mixture, [Σ candidates, width], candidate by
/// candidate.</param>
/// <param name="Image">As <paramref name="Text"/>, for the image layers.</param>
/// <param name="Mixture">The candidates and their weights; null for fixed lengths.</param>
/// <param name="Context">The learned context in the input of the text tower; null if there is none.</param>
/// <param name="ClassOffsets">[classes, embedding] offsets that the task residual adds to the unit-norm features of the classes; null if
/// there are none.</param>
internal sealed record PromptRows(
    IReadOnlyList<Tensor?> Text,
    IReadOnlyList<Tensor?> Image,
    TrainedMixture? Mixture = null,
    ContextRows? Context = null,
    Tensor? ClassOffsets = null
) : IDisposable
{
    /// <summary>Whether the text tower is CLIP's own, without prompts or context.</summary>
    public bool HasPlainText => Context is null && Text.All(rows => rows is null);

    /// <summary>The prompt length of each layer; for a mixture, that of the candidate with the largest weight.</summary>
    public PromptConfiguration Configuration => Mixture?.Largest ?? new PromptConfiguration(Lengths(Text), Lengths(Image));

    /// <summary>Copies a trained mixture to the CPU.</summary>
    /// <exception cref="ArgumentException">The two branches have different candidates.</exception>
    public static PromptRows From(BranchPair<MixtureBranch> branches)
    {
        if (!branches.Text.Candidates.SequenceEqual(branches.Image.Candidates))
            throw new ArgumentException(
                $"A mixture must have the same candidates in both branches, not {string.Join(' ', branches.Text.Candidates)} and "
                    + $"{string.Join(' ', branches.Image.Candidates)}.",
                nameof(branches)
            );
        return new PromptRows(
            [.. branches.Text.Rows.Select(Copied)],
            [.. branches.Image.Rows.Select(Copied)],
            new TrainedMixture(branches.Text.Candidates, branches.Text.Weights, branches.Image.Weights)
        );
    }

    /// <summary>
    /// The features of classes with these prompts, before the task residual. Always computed from copies of the prompts and with all of
    /// libtorch's threads, even during a fit: alignment and the number of threads may change the last bits, and a model that is rebuilt
    /// from its prompts must have the features of the original.
    /// </summary>
    /// <param name="tower">CLIP's text tower.</param>
    /// <param name="tokens">Token ids of each class, in the form that <see cref="ClassTexts"/> takes.</param>
    /// <param name="device">The device of the tower.</param>
    /// <returns>[classes, embedding], rows of length 1, in the caller's dispose scope.</returns>
    /// <exception cref="ArgumentException">A text is not valid for this CLIP.</exception>
    public Tensor ClassFeatures(TextTower tower, IReadOnlyList<int[]> tokens, Device device)
    {
        using IDisposable allThreads = NativeThreads.LiftLimit();
        using var noGrad = no_grad();
        using var texts = new ClassTexts(tokens, tower.Weights);
        using ITrainedBranch branch = Mixture is null
            ? new FixedBranch(Text, device)
            : TrainedMixture.Branch(Mixture.CandidateLengths, Text, Mixture.TextWeights, device);
        if (Context is null)
            return tower.UnitFeatures(texts, branch);
        using var vectors = new InputContext(Context.Layout, Context.Vectors, device);
        return tower.UnitFeatures(texts, new ContextBranch(branch, vectors));
    }

    /// <summary>An image tower for prediction with the image prompts folded into it. The caller owns the tower.</summary>
    /// <param name="weights">The frozen image tower; not owned.</param>
    /// <param name="device">The device of the weights.</param>
    public FoldedImageTower FoldedInto(ImageWeights weights, Device device)
    {
        using var scope = NewDisposeScope();
        if (Mixture is null)
            return new FoldedImageTower(weights, [.. Image.Select(rows => rows?.to(device))]);
        using MixtureBranch branch = TrainedMixture.Branch(Mixture.CandidateLengths, Image, Mixture.ImageWeights, device);
        return new FoldedImageTower(weights, branch.Layers());
    }

    /// <summary>Copies all tensors to the CPU.</summary>
    public PromptRows Copy() =>
        this with
        {
            Text = [.. Text.Select(Copied)],
            Image = [.. Image.Select(Copied)],
            Context = Context is null ? null : Context with { Vectors = Copied(Context.Vectors)! },
            ClassOffsets = Copied(ClassOffsets),
        };

    /// <summary>Copies all tensors to the CPU, with the class offsets for other classes; see <see cref="OffsetsFor"/>.</summary>
    /// <param name="trained">The classes of <see cref="ClassOffsets"/>, in the order of its rows.</param>
    /// <param name="asked">The requested classes.</param>
    public PromptRows CopyFor(IReadOnlyList<string> trained, IReadOnlyList<string> asked)
    {
        using var scope = NewDisposeScope();
        Tensor? offsets = ClassOffsets is null ? null : OffsetsFor(ClassOffsets, trained, asked);
        return (this with { ClassOffsets = offsets }).Copy();
    }

    /// <summary>The offsets in the order of the requested classes: trained classes keep their offset, in whichever form of Unicode their
    /// names are written, and others get zeros.</summary>
    /// <param name="offsets">[trained classes, embedding]</param>
    /// <param name="trained">The classes of the rows.</param>
    /// <param name="asked">The requested classes.</param>
    /// <returns>[requested classes, embedding]; the same tensor if the classes are the same, and null if none of them was trained. A new
    /// tensor belongs to the caller's dispose scope.</returns>
    public static Tensor? OffsetsFor(Tensor offsets, IReadOnlyList<string> trained, IReadOnlyList<string> asked)
    {
        // Files from other programs and models of earlier versions may hold names that are not composed.
        string[] known = [.. trained.Select(ComposedText.Compose)],
            sought = [.. asked.Select(ComposedText.Compose)];
        if (known.SequenceEqual(sought))
            return offsets;
        if (!sought.Intersect(known).Any())
            return null;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Dictionary<string, int> rows = known
            .Select((name, row) => (name, row))
            .DistinctBy(each => each.name)
            .ToDictionary(each => each.name, each => each.row);
        Tensor none = zeros_like(offsets[0]);
        return stack(sought.Select(name => rows.TryGetValue(name, out int row) ? offsets[row] : none)).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (Tensor? rows in Text.Concat(Image).Append(Context?.Vectors).Append(ClassOffsets))
            rows?.Dispose();
    }

    /// <summary>A copy on the CPU that no dispose scope owns.</summary>
    public static Tensor? Copied(Tensor? values)
    {
        using var scope = NewDisposeScope();
        return values?.detach().to(CPU, copy: true).DetachFromDisposeScope();
    }

    private static int[] Lengths(IReadOnlyList<Tensor?> layers) => [.. layers.Select(rows => (int)(rows?.shape[0] ?? 0))];
}

/// <summary>The context of a trained model.</summary>
/// <param name="Layout">Where its vectors are placed in a text.</param>
/// <param name="Vectors">[vectors, width]; class by class if they are class-specific</param>
internal sealed record ContextRows(ContextLayout Layout, Tensor Vectors);
