namespace PretrainTinyClip.Photographs;

/// <summary>Captions of classes: the name or a synonym in one of several templates, sometimes with a hypernym ("a kind of …").</summary>
internal sealed class PhotographCaptions
{
    private const double OwnName = 0.6,
        WithKind = 0.25;

    private static readonly string[] Templates =
    [
        "a photo of a {}.",
        "a photo of a {}.",
        "a photo of a {}.",
        "a photo of the {}.",
        "a photo of one {}.",
        "{}",
        "a {}.",
        "a picture of a {}.",
        "an image of a {}.",
        "a close-up photo of a {}.",
        "a cropped photo of the {}.",
        "a blurry photo of a {}.",
        "a bright photo of a {}.",
        "a dark photo of the {}.",
        "a photo of a large {}.",
        "a photo of a small {}.",
        "a good photo of a {}.",
        "a low resolution photo of the {}.",
        "a photo of many {}.",
        "itap of a {}.",
    ];

    private static readonly string[] KindTemplates =
    [
        "a photo of a {}, a kind of {kind}.",
        "a photo of a {}, a type of {kind}.",
        "a {}, which is a {kind}.",
        "a photo of a {kind}: {}.",
    ];

    private readonly (string[] Names, string[] Kinds)[] _classes;

    public PhotographCaptions(IReadOnlyList<PhotographClass> classes, WordNet words)
    {
        _classes =
        [
            .. classes.Select(c =>
                (
                    (string[])[.. words.Names(c.Synset, c.Name).Prepend(c.Name.ToLowerInvariant()).Distinct()],
                    (string[])[.. words.Above(c.Synset, c.Name).Take(4)]
                )
            ),
        ];
    }

    public int Count => _classes.Length;

    /// <summary>The template "a photo of a {}." with the class's own name.</summary>
    public string Plain(int index) => $"a photo of a {_classes[index].Names[0]}.";

    /// <summary>Draws a caption for every class.</summary>
    public string[] Draw(Random random) => [.. _classes.Select(c => Draw(c.Names, c.Kinds, random))];

    /// <summary>All names, kinds and templates, for the vocabulary.</summary>
    public IEnumerable<string> Texts =>
        _classes
            .SelectMany(c => c.Names.Concat(c.Kinds))
            .Concat(Templates)
            .Concat(KindTemplates)
            .Select(t => t.Replace("{kind}", "").Replace("{}", ""));

    private static string Draw(string[] names, string[] kinds, Random random)
    {
        string name = random.NextDouble() < OwnName ? names[0] : names[random.Next(names.Length)];
        if (kinds.Length > 0 && random.NextDouble() < WithKind)
            return KindTemplates[random.Next(KindTemplates.Length)].Replace("{kind}", kinds[random.Next(kinds.Length)]).Replace("{}", name);
        return Templates[random.Next(Templates.Length)].Replace("{}", name);
    }
}
