using System.Text.Json;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The activation between the two linear layers of a transformer block.</summary>
public enum ClipActivation
{
    /// <summary><c>x · sigmoid(1.702 x)</c>, used by OpenAI's CLIPs.</summary>
    QuickGelu,

    /// <summary>The exact Gaussian error linear unit, used by TinyCLIP and LAION's CLIPs.</summary>
    Gelu,
}

/// <summary>The shape of one transformer: pre-norm blocks of multi-head attention and a two-layer MLP.</summary>
public sealed record ClipTransformerConfig
{
    /// <summary>Number of blocks, at least 1.</summary>
    public required int Layers { get; init; }

    /// <summary>Model width in floats, a multiple of <see cref="Heads"/>.</summary>
    public required int Width { get; init; }

    /// <summary>Attention heads, at least 1.</summary>
    public required int Heads { get; init; }

    /// <summary>Width between the MLP's two linear layers, at least 1.</summary>
    public required int MlpWidth { get; init; }

    /// <summary>The MLP's activation.</summary>
    public required ClipActivation Activation { get; init; }

    /// <summary>LayerNorm's epsilon, above 0.</summary>
    public required double NormEpsilon { get; init; }
}

/// <summary>The shape of a CLIP with a vision transformer.</summary>
public sealed record ClipConfig
{
    /// <summary>Width of the embedding space shared by texts and images.</summary>
    public required int EmbeddingWidth { get; init; }

    /// <summary>The text tower's transformer.</summary>
    public required ClipTransformerConfig Text { get; init; }

    /// <summary>Maximum text length in tokens, including start and end tokens.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Number of token ids.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The token id at whose first occurrence the text feature is read; <c>null</c> for the highest id in the text, as in OpenAI's
    /// code and for configurations with the legacy value 2.</summary>
    public int? EndOfTextId { get; init; }

    /// <summary>The image tower's transformer.</summary>
    public required ClipTransformerConfig Image { get; init; }

    /// <summary>Side of the square input image in pixels.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Side of a patch in pixels.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Patches along one side of the image; remaining pixels are ignored, as in the strided convolution.</summary>
    public int Grid => ImageSize / PatchSize;
}

/// <summary>Writes a CLIP's configuration and preprocessing as Hugging Face's <c>config.json</c> and <c>preprocessor_config.json</c>;
/// <see cref="ClipConfigReader"/> and <see cref="ClipImageProcessorConfig"/> read back equal values.</summary>
internal static class ClipJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static byte[] Serialize(ClipConfig config) =>
        JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                model_type = "clip",
                projection_dim = config.EmbeddingWidth,
                text_config = Section(
                    config.Text,
                    new()
                    {
                        ["vocab_size"] = config.VocabularySize,
                        ["max_position_embeddings"] = config.ContextLength,
                        ["eos_token_id"] = config.EndOfTextId ?? ClipConfigReader.LegacyEndOfText,
                    }
                ),
                vision_config = Section(config.Image, new() { ["image_size"] = config.ImageSize, ["patch_size"] = config.PatchSize }),
            },
            Indented
        );

    public static byte[] Serialize(ClipImageProcessorConfig config) =>
        JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                size = new { shortest_edge = config.ShortSide },
                crop_size = new { height = config.CropSize, width = config.CropSize },
                image_mean = config.Mean,
                image_std = config.Deviation,
            },
            Indented
        );

    private static Dictionary<string, object> Section(ClipTransformerConfig tower, Dictionary<string, object> fields)
    {
        fields["hidden_size"] = tower.Width;
        fields["intermediate_size"] = tower.MlpWidth;
        fields["num_hidden_layers"] = tower.Layers;
        fields["num_attention_heads"] = tower.Heads;
        fields["hidden_act"] = tower.Activation == ClipActivation.Gelu ? "gelu" : "quick_gelu";
        fields["layer_norm_eps"] = tower.NormEpsilon;
        return fields;
    }
}
