using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>What the prompts of a fit are made for, and the random numbers they begin with.</summary>
/// <param name="Clip">The shape of both towers.</param>
/// <param name="Device">Where they compute.</param>
/// <param name="Seed">Of the fit.</param>
internal sealed record PromptShape(ClipConfig Clip, Device Device, int Seed)
{
    /// <summary>A generator for one purpose; the caller disposes it.</summary>
    public Generator Generator(string purpose) => Seeds.Generator(Seed, purpose);
}

/// <summary>How the prompts of the layers are made: what is learned, and the rows that each layer gets of it. A record whose values become
/// part of a fit's fingerprint.</summary>
internal interface IPromptDesign
{
    /// <summary>What people know it by.</summary>
    string Name { get; }

    /// <summary>What keeps the design from these lengths, as the end of a sentence; null: nothing.</summary>
    string? ProblemOf(PromptConfiguration configuration);

    /// <summary>The numbers that are learned beside the rows of prompts, at most.</summary>
    long ParametersBeside(ClipConfig clip);

    /// <summary>Fresh prompts of given lengths. The caller owns both branches.</summary>
    /// <param name="configuration">Without a <see cref="ProblemOf"/>.</param>
    /// <param name="shape">What they are made for.</param>
    /// <param name="initial">Where prompt values come from.</param>
    /// <param name="purpose">Names the random numbers.</param>
    BranchPair<IFixedBranch> CreatePrompts(
        PromptConfiguration configuration,
        PromptShape shape,
        PromptDistribution initial,
        string purpose
    );

    /// <summary>Fresh prompts of all candidates. The caller owns both branches.</summary>
    /// <param name="candidates">Candidate lengths, increasing from 0.</param>
    /// <param name="shape">What they are made for.</param>
    /// <param name="initial">Where prompt values come from.</param>
    /// <param name="nested">Whether a candidate's prompt is the first rows of the longest one's.</param>
    /// <param name="purpose">Names the random numbers.</param>
    BranchPair<SupernetBranch> CreateSupernet(
        IReadOnlyList<int> candidates,
        PromptShape shape,
        BranchPair<PromptDistribution> initial,
        bool nested,
        string purpose
    );
}

/// <summary>A matrix for each layer of each tower, as in the paper.</summary>
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

/// <summary>Image prompts as linear functions of the text prompts of the same layer, and one choice of the search for both (MaPLe, Khattak,
/// Rasheed, Maaz, Khan, Khan, CVPR 2023, arXiv 2210.03117). Layers that only one tower has are independent.</summary>
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
                + "as many in both towers";
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
