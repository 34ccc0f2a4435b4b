using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>
/// Templates with {} for a class's name, as used by CLIP's authors and the prompt-learning literature: OpenAI's 80 for ImageNet, and one
/// for each of the eleven data sets on which prompts for CLIP are usually compared.
/// </summary>
/// <remarks>
/// The 80: <see href="https://github.com/openai/CLIP/blob/main/notebooks/Prompt_Engineering_for_ImageNet.ipynb">OpenAI's notebook</see>, at
/// commit d05afc43. One per data set: <c>CUSTOM_TEMPLATES</c> in <c>trainers/zsclip.py</c> of
/// <see href="https://github.com/KaiyangZhou/CoOp">CoOp</see>, at commit ff61507c. PromptSRC's 60: <c>trainers/imagenet_templates.py</c> of
/// <see href="https://github.com/muzairkhattak/PromptSRC">PromptSRC</see>, at commit bb95c77b.
/// </remarks>
public static class ClipTemplates
{
    /// <summary>OpenAI's 80 templates for ImageNet, in OpenAI's order.</summary>
    public static IReadOnlyList<string> ImageNet { get; } =
    [
        "a bad photo of a {}.",
        "a photo of many {}.",
        "a sculpture of a {}.",
        "a photo of the hard to see {}.",
        "a low resolution photo of the {}.",
        "a rendering of a {}.",
        "graffiti of a {}.",
        "a bad photo of the {}.",
        "a cropped photo of the {}.",
        "a tattoo of a {}.",
        "the embroidered {}.",
        "a photo of a hard to see {}.",
        "a bright photo of a {}.",
        "a photo of a clean {}.",
        "a photo of a dirty {}.",
        "a dark photo of the {}.",
        "a drawing of a {}.",
        "a photo of my {}.",
        "the plastic {}.",
        "a photo of the cool {}.",
        "a close-up photo of a {}.",
        "a black and white photo of the {}.",
        "a painting of the {}.",
        "a painting of a {}.",
        "a pixelated photo of the {}.",
        "a sculpture of the {}.",
        "a bright photo of the {}.",
        "a cropped photo of a {}.",
        "a plastic {}.",
        "a photo of the dirty {}.",
        "a jpeg corrupted photo of a {}.",
        "a blurry photo of the {}.",
        "a photo of the {}.",
        "a good photo of the {}.",
        "a rendering of the {}.",
        "a {} in a video game.",
        "a photo of one {}.",
        "a doodle of a {}.",
        "a close-up photo of the {}.",
        "a photo of a {}.",
        "the origami {}.",
        "the {} in a video game.",
        "a sketch of a {}.",
        "a doodle of the {}.",
        "a origami {}.",
        "a low resolution photo of a {}.",
        "the toy {}.",
        "a rendition of the {}.",
        "a photo of the clean {}.",
        "a photo of a large {}.",
        "a rendition of a {}.",
        "a photo of a nice {}.",
        "a photo of a weird {}.",
        "a blurry photo of a {}.",
        "a cartoon {}.",
        "art of a {}.",
        "a sketch of the {}.",
        "a embroidered {}.",
        "a pixelated photo of a {}.",
        "itap of the {}.",
        "a jpeg corrupted photo of the {}.",
        "a good photo of a {}.",
        "a plushie {}.",
        "a photo of the nice {}.",
        "a photo of the small {}.",
        "a photo of the weird {}.",
        "the cartoon {}.",
        "art of the {}.",
        "a drawing of the {}.",
        "a photo of the large {}.",
        "a black and white photo of a {}.",
        "the plushie {}.",
        "a dark photo of a {}.",
        "itap of a {}.",
        "graffiti of the {}.",
        "a toy {}.",
        "itap of my {}.",
        "a photo of a cool {}.",
        "a photo of a small {}.",
        "a tattoo of the {}.",
    ];

    // Must come after ImageNet, because static initialisers run in textual order.
    private static readonly (string Name, IReadOnlyList<string> Templates)[] Known =
    [
        ("imagenet-80", ImageNet),
        ("openai-80", ImageNet),
        ("promptsrc-60", [ClassTemplate.Default, .. ImageNet.Take(60).Where(template => template != ClassTemplate.Default)]),
        ("caltech101", [ClassTemplate.Default]),
        ("describable-textures", ["{} texture."]),
        ("dtd", ["{} texture."]),
        ("eurosat", ["a centered satellite photo of {}."]),
        ("fgvc-aircraft", ["a photo of a {}, a type of aircraft."]),
        ("food101", ["a photo of {}, a type of food."]),
        ("imagenet", [ClassTemplate.Default]),
        ("imagenet-a", [ClassTemplate.Default]),
        ("imagenet-r", [ClassTemplate.Default]),
        ("imagenet-sketch", [ClassTemplate.Default]),
        ("imagenet-v2", [ClassTemplate.Default]),
        ("oxford-flowers", ["a photo of a {}, a type of flower."]),
        ("flowers102", ["a photo of a {}, a type of flower."]),
        ("oxford-pets", ["a photo of a {}, a type of pet."]),
        ("stanford-cars", [ClassTemplate.Default]),
        ("sun397", [ClassTemplate.Default]),
        ("ucf101", ["a photo of a person doing {}."]),
    ];

    private static readonly Dictionary<string, IReadOnlyList<string>> ByKey = Known.ToDictionary(
        known => Key(known.Name),
        known => known.Templates
    );

    /// <summary>All names that <see cref="Named"/> accepts, in their usual spelling. Some names are synonyms: <c>imagenet-80</c> and
    /// <c>openai-80</c>, <c>describable-textures</c> and <c>dtd</c>, <c>oxford-flowers</c> and <c>flowers102</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Known.Select(known => known.Name)];

    /// <summary>The templates of a name: 80 for <c>imagenet-80</c>, one for a data set, and 60 for <c>promptsrc-60</c>. The latter are
    /// those of PromptSRC's teacher: OpenAI's first 60, with the default template moved to the front.</summary>
    /// <param name="name">One of <see cref="Names"/>; case, hyphens, underscores and spaces make no difference.</param>
    /// <returns>At least one template; each holds {} once.</returns>
    /// <exception cref="ArgumentException">The name is unknown; the message lists the known names.</exception>
    /// <exception cref="ArgumentNullException">The name is null.</exception>
    public static IReadOnlyList<string> Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return ByKey.TryGetValue(Key(name), out IReadOnlyList<string>? templates)
            ? templates
            : throw new ArgumentException(
                $"There are no templates named '{ShownText.Escape(name)}'. The names are {string.Join(", ", Names)}.",
                nameof(name)
            );
    }

    /// <param name="template">A text with {} for the name.</param>
    /// <param name="optionName">The option's name as users know it, for the message and the exception's parameter name.</param>
    /// <exception cref="ArgumentException">The template does not contain {} exactly once.</exception>
    internal static void Require([NotNull] string? template, string optionName)
    {
        if (!ClassTemplate.IsValid(template))
            throw new ArgumentException(NotOnce(optionName, template), optionName);
    }

    /// <param name="templates">Texts with {} for the name.</param>
    /// <param name="optionName">The option's name as users know it, for the message and the exception's parameter name.</param>
    /// <exception cref="ArgumentException">There are no templates, one does not contain {} exactly once, or two are the same text to
    /// CLIP.</exception>
    internal static void Require([NotNull] IEnumerable<string>? templates, string optionName)
    {
        var read = new Dictionary<string, int>();
        int index = 0;
        foreach (string template in templates ?? [])
        {
            if (!ClassTemplate.IsValid(template))
                throw new ArgumentException(NotOnce($"{optionName}[{index}]", template), optionName);
            // Compared in CLIP's cleaned form, because templates that differ only in case or spaces would be averaged twice.
            if (!read.TryAdd(ClipText.Clean(template), index))
                throw new ArgumentException(
                    $"{optionName}[{read[ClipText.Clean(template)]}] and {optionName}[{index}] are the same text to CLIP, "
                        + $"'{ShownText.Escape(template)}': leave one of them out.",
                    optionName
                );
            index++;
        }
        if (templates is null || index == 0)
            throw new ArgumentException(
                $"{optionName} is empty: give at least one template, such as '{ClassTemplate.Default}'.",
                optionName
            );
    }

    /// <summary>A one-sentence error message: what a template must contain, and the given template.</summary>
    internal static string NotOnce(string optionName, string? template) =>
        $"{optionName} must hold {{}} once, where the class name goes; it is '{template}'.";

    private static string Key(string name) => string.Concat(name.Where(c => c is not ('-' or '_' or ' '))).ToLowerInvariant();
}
