using System.Globalization;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The configuration of a checkpoint in OpenAI's names, read off its tensors' shapes, since such files carry none.</summary>
internal static class OpenAIConfig
{
    private const int HeadWidth = 64;
    private const double NormEpsilon = 1e-5;

    /// <summary>Quick GELU, 64 floats per head and the highest token id as the end of the text, as in OpenAI's code.</summary>
    /// <exception cref="InvalidDataException">It is no CLIP with a vision transformer in these names.</exception>
    public static ClipConfig FromShapes(ITensorSource source)
    {
        ClipCheckpoint.RefuseResNet(source);
        IReadOnlyList<long> patches = Shape(source, "visual.conv1.weight", 4),
            places = Shape(source, "visual.positional_embedding", 2);
        IReadOnlyList<long> tokens = Shape(source, "token_embedding.weight", 2),
            projection = Shape(source, "text_projection", 2);
        int grid = Grid(source, places[0]),
            patch = Size(source, "visual.conv1.weight", patches[3]);
        return new ClipConfig(
            EmbeddingWidth: Size(source, "text_projection", projection[1]),
            ImageSize: Size(source, "visual.conv1.weight", (long)grid * patch),
            PatchSize: patch,
            Vision: Transformer(source, ClipLayout.VisionBlocks, "visual.conv1.weight", patches[0]),
            ContextLength: Size(source, "positional_embedding", Shape(source, "positional_embedding", 2)[0]),
            VocabularySize: Size(source, "token_embedding.weight", tokens[0]),
            EndOfTextId: null,
            Text: Transformer(source, ClipLayout.TextBlocks, "token_embedding.weight", tokens[1])
        );
    }

    private static ClipTransformerConfig Transformer(ITensorSource source, string prefix, string widthFrom, long width)
    {
        const string lastPart = ".attn.in_proj_weight";
        int layers = 0;
        while (source.Entries.ContainsKey(string.Create(CultureInfo.InvariantCulture, $"{prefix}{layers}{lastPart}")))
            layers++;
        if (layers == 0)
            throw new InvalidDataException(
                $"{source.Location}: there is no tensor '{prefix}0{lastPart}', so it has no transformer in OpenAI's names."
            );
        if (width % HeadWidth != 0)
            throw new InvalidDataException(
                $"{source.Location}: tensor '{widthFrom}' makes the width {width}, which is no multiple of {HeadWidth}, the width of "
                    + "a head in OpenAI's models."
            );
        string up = $"{prefix}0.mlp.c_fc.weight";
        int mlp = Size(source, up, Shape(source, up, 2)[0]);
        return new ClipTransformerConfig(
            layers,
            Size(source, widthFrom, width),
            Size(source, widthFrom, width / HeadWidth),
            mlp,
            ClipActivation.QuickGelu,
            NormEpsilon
        );
    }

    private static int Grid(ITensorSource source, long positions)
    {
        long grid = positions < 2 ? 0 : (long)Math.Sqrt(positions - 1);
        if (grid == 0 || grid * grid != positions - 1)
            throw new InvalidDataException(
                $"{source.Location}: tensor 'visual.positional_embedding' has {positions} rows, which is not one more than a square."
            );
        return Size(source, "visual.positional_embedding", grid);
    }

    private static IReadOnlyList<long> Shape(ITensorSource source, string name, int dimensions)
    {
        if (!source.Entries.TryGetValue(name, out TensorEntry? entry))
            throw new InvalidDataException(
                $"{source.Location}: there is no tensor '{name}'; it is no CLIP in OpenAI's names. A folder in Hugging Face's layout "
                    + "is opened as a folder."
            );
        if (entry.Shape.Count != dimensions)
            throw new InvalidDataException(
                $"{source.Location}: tensor '{name}' has {entry.Shape.Count} dimensions instead of {dimensions}."
            );
        return entry.Shape;
    }

    private static int Size(ITensorSource source, string name, long size) =>
        size is > 0 and < 1 << 24
            ? (int)size
            : throw new InvalidDataException($"{source.Location}: tensor '{name}' makes a size of {size}, which no CLIP has.");
}
