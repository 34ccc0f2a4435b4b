namespace Microsoft.ML.Dpl.Clip;

/// <summary>A published CLIP that has a name.</summary>
/// <param name="Name">OpenAI's short name; of others, the repository's.</param>
/// <param name="Repository">Where Hugging Face's hub has it.</param>
/// <param name="Config">Its shape.</param>
public sealed record KnownClip(string Name, string Repository, ClipConfig Config)
{
    /// <summary>Tokens of OpenAI's vocabulary, which all of <see cref="All"/> share.</summary>
    internal const int OpenAITokens = 49408;

    /// <summary>CLIPs that are known to work by name. Any other CLIP of the hub with a vision transformer can be named by its
    /// repository.</summary>
    public static IReadOnlyList<KnownClip> All { get; } =
    [
        new("ViT-B/32", "openai/clip-vit-base-patch32", Base(32, ClipActivation.QuickGelu)),
        new("ViT-B/16", "openai/clip-vit-base-patch16", Base(16, ClipActivation.QuickGelu)),
        new("ViT-L/14", "openai/clip-vit-large-patch14", Large(224, ClipActivation.QuickGelu)),
        new("ViT-L/14@336px", "openai/clip-vit-large-patch14-336", Large(336, ClipActivation.QuickGelu)),
        Laion("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", Base(32, ClipActivation.Gelu)),
        Laion("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", Base(16, ClipActivation.Gelu)),
        Laion("laion/CLIP-ViT-L-14-laion2B-s32B-b82K", Large(224, ClipActivation.Gelu)),
        Laion(
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
            Shape(1024, 224, 14, Tower(32, 1280, 16, ClipActivation.Gelu), Tower(24, 1024, 16, ClipActivation.Gelu))
        ),
    ];

    /// <summary>Numbers in all weights of both branches.</summary>
    public long Parameters =>
        ClipLayout
            .Vision(Config)
            .Concat(ClipLayout.Text(Config))
            .Sum(tensor => tensor.Shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>About how many bytes a download has: four for each of <see cref="Parameters"/>.</summary>
    public long Bytes => sizeof(float) * Parameters;

    /// <summary>The entry of a short name, in any case, or of a repository; <c>null</c> where there is none.</summary>
    /// <param name="name">Such as <c>ViT-B/16</c>.</param>
    /// <returns>The entry.</returns>
    public static KnownClip? Find(string name) =>
        All.FirstOrDefault(known =>
            known.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || known.Repository.Equals(name, StringComparison.OrdinalIgnoreCase)
        );

    private static KnownClip Laion(string repository, ClipConfig config) => new(repository, repository, config);

    private static ClipConfig Base(int patch, ClipActivation activation) =>
        Shape(512, 224, patch, Tower(12, 768, 12, activation), Tower(12, 512, 8, activation));

    private static ClipConfig Large(int image, ClipActivation activation) =>
        Shape(768, image, 14, Tower(24, 1024, 16, activation), Tower(12, 768, 12, activation));

    private static ClipConfig Shape(int embedding, int image, int patch, ClipTransformerConfig vision, ClipTransformerConfig text) =>
        new(embedding, image, patch, vision, 77, OpenAITokens, null, text);

    private static ClipTransformerConfig Tower(int layers, int width, int heads, ClipActivation activation) =>
        new(layers, width, heads, 4 * width, activation, 1e-5);
}
