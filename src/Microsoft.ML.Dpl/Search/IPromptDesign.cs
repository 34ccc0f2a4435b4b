using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The towers that prompts are created for, and the seed of their initial values.</summary>
/// <param name="Clip">The shapes of both towers.</param>
/// <param name="Device">The device of the towers.</param>
/// <param name="Seed">The seed of the fit.</param>
internal sealed record PromptShape(ClipConfig Clip, Device Device, int Seed)
{
    /// <summary>A random number generator for one purpose; the caller disposes it.</summary>
    public Generator Generator(string purpose) => Seeds.Generator(Seed, purpose);
}

/// <summary>
/// Defines how the prompts of the layers are parameterised: what is learned, and how each layer's rows follow from it. Implementations are
/// records whose values become part of a fit's fingerprint.
/// </summary>
internal interface IPromptDesign
{
    /// <summary>The name shown to users.</summary>
    string Name { get; }

    /// <summary>Why the design cannot have these lengths, as the end of a sentence; null if it can.</summary>
    string? ProblemOf(PromptConfiguration configuration);

    /// <summary>The largest number of learned parameters besides the prompt rows.</summary>
    long ParametersBeside(ClipConfig clip);

    /// <summary>Creates prompts of given lengths. The caller owns both branches.</summary>
    /// <param name="configuration">The lengths, for which <see cref="ProblemOf"/> must be null.</param>
    /// <param name="shape">The towers and the seed.</param>
    /// <param name="initial">Distribution of the initial values.</param>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
    BranchPair<IFixedBranch> CreatePrompts(
        PromptConfiguration configuration,
        PromptShape shape,
        PromptDistribution initial,
        string purpose
    );

    /// <summary>Creates prompts for all candidates. The caller owns both branches.</summary>
    /// <param name="candidates">Candidate lengths, increasing from 0.</param>
    /// <param name="shape">The towers and the seed.</param>
    /// <param name="initial">Distribution of the initial values of each branch.</param>
    /// <param name="nested">Whether each candidate's prompt consists of the first rows of the longest candidate's.</param>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
    BranchPair<SupernetBranch> CreateSupernet(
        IReadOnlyList<int> candidates,
        PromptShape shape,
        BranchPair<PromptDistribution> initial,
        bool nested,
        string purpose
    );
}

/// <summary>An independent matrix for each layer of each tower, as in the paper.</summary>
internal sealed record IndependentPrompts : IPromptDesign
{
    public string Name => "independent";

    public string? ProblemOf(PromptConfiguration configuration) => null;

    public long ParametersBeside(ClipConfig clip) => 0;

    public BranchPair<IFixedBranch> CreatePrompts(
        PromptConfiguration configuration,
        PromptShape shape,
        PromptDistribution initial,
        string purpose
    )
    {
        using Generator text = shape.Generator($"{purpose} text"),
            image = shape.Generator($"{purpose} image");
        return new(
            Text: FixedBranch.Create(configuration.Text, shape.Clip.Text.Width, initial, text, shape.Device),
            Image: FixedBranch.Create(configuration.Image, shape.Clip.Image.Width, initial, image, shape.Device)
        );
    }

    public BranchPair<SupernetBranch> CreateSupernet(
        IReadOnlyList<int> candidates,
        PromptShape shape,
        BranchPair<PromptDistribution> initial,
        bool nested,
        string purpose
    )
    {
        using Generator text = shape.Generator($"{purpose} text"),
            image = shape.Generator($"{purpose} image");
        SupernetBranch Fresh(ClipTransformerConfig tower, PromptDistribution prompts, Generator generator) =>
            SupernetBranch.Create(candidates, tower.Layers, tower.Width, prompts, generator, shape.Device, nested);
        return new(Text: Fresh(shape.Clip.Text, initial.Text, text), Image: Fresh(shape.Clip.Image, initial.Image, image));
    }
}

/// <summary>
/// Image prompts as linear functions of the text prompts of the same layer, with one choice of the search for both (MaPLe, Khattak,
/// Rasheed, Maaz, Khan, Khan, CVPR 2023, arXiv 2210.03117). Layers that only one tower has are independent.
/// </summary>
internal sealed record CoupledPrompts : IPromptDesign
{
    public string Name => "coupled";

    public string? ProblemOf(PromptConfiguration configuration)
    {
        int coupled = Math.Min(configuration.Text.Count, configuration.Image.Count);
        int first = Enumerable.Range(0, coupled).FirstOrDefault(l => configuration.Text[l] != configuration.Image[l], -1);
        return first < 0
            ? null
            : $"layer {first} has {configuration.Text[first]} text and {configuration.Image[first]} image rows, but coupled prompts have "
                + "the same number in both towers";
    }

    public long ParametersBeside(ClipConfig clip) =>
        (long)Math.Min(clip.Text.Layers, clip.Image.Layers) * clip.Image.Width * (clip.Text.Width + 1);

    public BranchPair<IFixedBranch> CreatePrompts(
        PromptConfiguration configuration,
        PromptShape shape,
        PromptDistribution initial,
        string purpose
    )
    {
        int coupled = Math.Min(configuration.Text.Count, configuration.Image.Count);
        using Generator text = shape.Generator($"{purpose} text"),
            image = shape.Generator($"{purpose} image");
        FixedBranch textBranch = FixedBranch.Create(configuration.Text, shape.Clip.Text.Width, initial, text, shape.Device),
            rest = FixedBranch.Create([.. configuration.Image.Skip(coupled)], shape.Clip.Image.Width, initial, image, shape.Device);
        return new(
            Text: textBranch,
            Image: new CoupledBranch(textBranch, Maps([.. configuration.Text.Take(coupled).Select(n => n > 0)], shape, purpose), rest)
        );
    }

    public BranchPair<SupernetBranch> CreateSupernet(
        IReadOnlyList<int> candidates,
        PromptShape shape,
        BranchPair<PromptDistribution> initial,
        bool nested,
        string purpose
    )
    {
        (ClipTransformerConfig text, ClipTransformerConfig image) = (shape.Clip.Text, shape.Clip.Image);
        int coupled = Math.Min(text.Layers, image.Layers);
        using Generator textNumbers = shape.Generator($"{purpose} text"),
            imageNumbers = shape.Generator($"{purpose} image");
        SupernetBranch textBranch = SupernetBranch.Create(
            candidates,
            text.Layers,
            text.Width,
            initial.Text,
            textNumbers,
            shape.Device,
            nested
        );
        using SupernetBranch rest = SupernetBranch.Create(
            candidates,
            image.Layers - coupled,
            image.Width,
            initial.Image,
            imageNumbers,
            shape.Device,
            nested
        );
        Coupling maps = Maps([.. Enumerable.Repeat(true, coupled)], shape, purpose);
        return new(Text: textBranch, Image: CoupledSupernetBranch.From(textBranch, maps, rest, nested));
    }

    private static Coupling Maps(IReadOnlyList<bool> used, PromptShape shape, string purpose)
    {
        using Generator generator = shape.Generator($"{purpose} coupling");
        return Coupling.Create(used, shape.Clip.Text.Width, shape.Clip.Image.Width, generator, shape.Device);
    }
}
