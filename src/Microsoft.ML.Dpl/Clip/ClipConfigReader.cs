using System.Text.Json;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Reads the <c>config.json</c> of a Hugging Face CLIP, with that library's defaults for every field left out.</summary>
internal static class ClipConfigReader
{
    /// <summary>The end-of-text id that old configurations give, whatever it is.</summary>
    public const int LegacyEndOfText = 2;

    private const int MaximumLayers = 512,
        MaximumWidth = 1 << 16,
        MaximumMlpWidth = 1 << 18,
        MaximumPixels = 1 << 14,
        MaximumContext = 1 << 16,
        MaximumVocabulary = 1 << 24;

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is no configuration of a CLIP with a vision transformer, or a field is out of
    /// range.</exception>
    public static ClipConfig FromFile(string path) => Parse(File.ReadAllBytes(path), path);

    /// <param name="json">The text of the file in UTF-8.</param>
    /// <param name="location">The file, for messages.</param>
    /// <exception cref="InvalidDataException">As <see cref="FromFile"/>.</exception>
    public static ClipConfig Parse(ReadOnlyMemory<byte> json, string location)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"{location}: the configuration is not a JSON object.");
            return Read(new ConfigSection(document.RootElement, "", location));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{location}: the configuration is not JSON in UTF-8. {e.Message}", e);
        }
    }

    private static ClipConfig Read(ConfigSection root)
    {
        string? type = root.Text("model_type", null);
        if (type != "clip")
            throw root.Fault("model_type", type is null ? "is missing; a CLIP's says 'clip'" : $"is '{type}'; only 'clip' is supported");

        // Old files carry a second copy of each section, which wins as a whole where it is present.
        ConfigSection text = root.Section(root.Has("text_config_dict") ? "text_config_dict" : "text_config");
        ConfigSection vision = root.Section(root.Has("vision_config_dict") ? "vision_config_dict" : "vision_config");

        int imageSize = vision.Integer("image_size", 224, 1, MaximumPixels);
        int patchSize = vision.Integer("patch_size", 32, 1, MaximumPixels);
        if (patchSize > imageSize)
            throw vision.Fault("patch_size", $"is {patchSize}, larger than image_size {imageSize}");
        int channels = vision.Integer("num_channels", 3, 1, int.MaxValue);
        if (channels != 3)
            throw vision.Fault("num_channels", $"is {channels}; only images of 3 channels are supported");

        int vocabulary = text.Integer("vocab_size", 49408, 1, MaximumVocabulary);
        return new ClipConfig(
            EmbeddingWidth: root.Integer("projection_dim", 512, 1, MaximumWidth),
            ImageSize: imageSize,
            PatchSize: patchSize,
            Vision: Transformer(vision, width: 768, mlpWidth: 3072, heads: 12),
            ContextLength: text.Integer("max_position_embeddings", 77, 1, MaximumContext),
            VocabularySize: vocabulary,
            EndOfTextId: EndOfText(text, vocabulary),
            Text: Transformer(text, width: 512, mlpWidth: 2048, heads: 8)
        );
    }

    private static ClipTransformerConfig Transformer(ConfigSection section, int width, int mlpWidth, int heads)
    {
        width = section.Integer("hidden_size", width, 1, MaximumWidth);
        heads = section.Integer("num_attention_heads", heads, 1, MaximumWidth);
        if (width % heads != 0)
            throw section.Fault("hidden_size", $"is {width}, which num_attention_heads {heads} does not divide");
        return new ClipTransformerConfig(
            section.Integer("num_hidden_layers", 12, 1, MaximumLayers),
            width,
            heads,
            section.Integer("intermediate_size", mlpWidth, 1, MaximumMlpWidth),
            Activation(section),
            section.Fraction("layer_norm_eps", 1e-5)
        );
    }

    private static ClipActivation Activation(ConfigSection section)
    {
        string? name = section.Text("hidden_act", "quick_gelu");
        return name switch
        {
            "quick_gelu" => ClipActivation.QuickGelu,
            "gelu" => ClipActivation.Gelu,
            _ => throw section.Fault("hidden_act", $"is '{name}'; only quick_gelu and gelu are supported"),
        };
    }

    private static int? EndOfText(ConfigSection text, int vocabulary)
    {
        int id = text.Integer("eos_token_id", 49407, 0, MaximumVocabulary);
        // Configurations from before the value was corrected all say 2, and are read by the highest id.
        if (id == LegacyEndOfText)
            return null;
        return id < vocabulary ? id : throw text.Fault("eos_token_id", $"is {id}, but ids end below vocab_size {vocabulary}");
    }
}
