using System.Text.Json;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Writes a CLIP's shape and preprocessing as Hugging Face's <c>config.json</c> and <c>preprocessor_config.json</c>, from which
/// <see cref="ClipConfigReader"/> and <see cref="ClipImageProcessorConfig"/> read back equal values.</summary>
internal static class ClipJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static byte[] Of(ClipConfig config) =>
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
                vision_config = Section(config.Vision, new() { ["image_size"] = config.ImageSize, ["patch_size"] = config.PatchSize }),
            },
            Indented
        );

    public static byte[] Of(ClipImageProcessorConfig config) =>
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

    private static Dictionary<string, object> Section(ClipTransformerConfig branch, Dictionary<string, object> fields)
    {
        fields["hidden_size"] = branch.Width;
        fields["intermediate_size"] = branch.MlpWidth;
        fields["num_hidden_layers"] = branch.Layers;
        fields["num_attention_heads"] = branch.Heads;
        fields["hidden_act"] = branch.Activation == ClipActivation.Gelu ? "gelu" : "quick_gelu";
        fields["layer_norm_eps"] = branch.NormEpsilon;
        return fields;
    }
}
