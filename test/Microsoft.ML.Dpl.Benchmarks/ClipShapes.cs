using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The true shapes of CLIPs that people use, and two small ones.</summary>
internal static class ClipShapes
{
    public static IReadOnlyList<string> Names => ["surrogate", "vit-b-32", "vit-b-16", "vit-l-14", "smallest"];

    public static ClipConfig Of(string name) =>
        name switch
        {
            "smallest" => Shape(32, 32, 8, (2, 64), (2, 64), 64),
            "surrogate" => Shape(256, 48, 8, (6, 128), (3, 128), 64),
            "vit-b-32" => Shape(512, 224, 32, (12, 768), (12, 512), 64),
            "vit-b-16" => Shape(512, 224, 16, (12, 768), (12, 512), 64),
            "vit-l-14" => Shape(768, 224, 14, (24, 1024), (12, 768), 64),
            _ => throw new ArgumentException($"Shape '{name}' is unknown; there are {string.Join(", ", Names)}.", nameof(name)),
        };

    private static ClipConfig Shape(
        int embedding,
        int image,
        int patch,
        (int Layers, int Width) vision,
        (int Layers, int Width) text,
        int headWidth
    ) => new(embedding, image, patch, Branch(vision, headWidth), 77, 49408, null, Branch(text, headWidth));

    private static ClipTransformerConfig Branch((int Layers, int Width) branch, int headWidth) =>
        new(branch.Layers, branch.Width, branch.Width / headWidth, 4 * branch.Width, ClipActivation.QuickGelu, 1e-5);
}
