using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The actual shapes of widely used CLIPs, and two small ones.</summary>
internal static class ClipShapes
{
    public static IReadOnlyList<string> Names => ["surrogate", "vit-b-32", "vit-b-16", "vit-l-14", "smallest"];

    public static ClipConfig Of(string name) =>
        name switch
        {
            "smallest" => Shape(32, (2, 64), (2, 64), 32, 8, 64),
            "surrogate" => Shape(256, (3, 128), (6, 128), 48, 8, 64),
            "vit-b-32" => Shape(512, (12, 512), (12, 768), 224, 32, 64),
            "vit-b-16" => Shape(512, (12, 512), (12, 768), 224, 16, 64),
            "vit-l-14" => Shape(768, (12, 768), (24, 1024), 224, 14, 64),
            _ => throw new ArgumentException($"Shape '{name}' is unknown; there are {string.Join(", ", Names)}.", nameof(name)),
        };

    private static ClipConfig Shape(
        int embedding,
        (int Layers, int Width) text,
        (int Layers, int Width) image,
        int imageSize,
        int patch,
        int headWidth
    ) =>
        new()
        {
            EmbeddingWidth = embedding,
            Text = Branch(text, headWidth),
            ContextLength = 77,
            VocabularySize = 49408,
            Image = Branch(image, headWidth),
            ImageSize = imageSize,
            PatchSize = patch,
        };

    private static ClipTransformerConfig Branch((int Layers, int Width) branch, int headWidth) =>
        new()
        {
            Layers = branch.Layers,
            Width = branch.Width,
            Heads = branch.Width / headWidth,
            MlpWidth = 4 * branch.Width,
            Activation = ClipActivation.QuickGelu,
            NormEpsilon = 1e-5,
        };
}
