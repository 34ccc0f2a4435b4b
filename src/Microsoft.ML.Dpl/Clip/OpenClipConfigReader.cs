using System.Text.Json;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Reads <c>open_clip_config.json</c>, with open_clip's defaults for every field left out. What would make another network than
/// CLIP's is refused by its field.</summary>
internal static class OpenClipConfigReader
{
    private const int MaximumLayers = 512,
        MaximumWidth = 1 << 16,
        MaximumPixels = 1 << 14,
        MaximumContext = 1 << 16,
        MaximumVocabulary = 1 << 24;
    private const double NormEpsilon = 1e-5;

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no configuration of a CLIP with a vision transformer, or a field is out of
    /// range.</exception>
    public static ClipConfig FromFile(string path) => Read(path, root => Config(root.Section("model_cfg")));

    /// <summary>Its preprocessing; images are always resized to the short side and cropped.</summary>
    /// <exception cref="InvalidDataException">It asks for something else than CLIP's preprocessing.</exception>
    public static ClipImageProcessorConfig Preprocessing(string path, int imageSize) => Read(path, root =>
        {
            ConfigSection fields = root.Section("preprocess_cfg");
            if (fields.Text("interpolation", "bicubic") is var filter && filter != "bicubic")
                throw fields.Fault("interpolation", $"is '{filter}'; only bicubic is supported");
            if (fields.Text("resize_mode", "shortest") is var resizing && resizing != "shortest")
                throw fields.Fault("resize_mode", $"is '{resizing}'; only shortest is supported");
            ClipImageProcessorConfig standard = ClipImageProcessorConfig.Default(imageSize);
            float[] mean = fields.Numbers("mean", standard.Mean),
                deviation = fields.Numbers("std", standard.Deviation);
            if (!deviation.All(d => d > 0))
                throw fields.Fault("std", "has a value that is not positive");
            return ClipImageProcessorConfig.AreUsable(mean, deviation)
                ? standard with
                {
                    Mean = mean,
                    Deviation = deviation,
                }
                : throw fields.Fault("mean", "or std has a value far from those of pixels from 0 to 1");
        });

    private static T Read<T>(string path, Func<ConfigSection, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"{path}: the configuration is not a JSON object.");
            return read(new ConfigSection(document.RootElement, "", path));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: the configuration is not JSON in UTF-8. {e.Message}", e);
        }
    }

    private static ClipConfig Config(ConfigSection model)
    {
        ConfigSection vision = model.Section("vision_cfg"),
            text = model.Section("text_cfg");
        if (vision.IsList("layers"))
            throw vision.Fault("layers", "describes a ResNet; only vision transformers are supported, such as ViT-B/16");
        model.RefuseOthers("embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale", "output_dict");
        vision.RefuseOthers(
            "image_size",
            "patch_size",
            "width",
            "layers",
            "head_width",
            "mlp_ratio",
            "patch_dropout",
            "pool_type",
            "pos_embed_type"
        );
        text.RefuseOthers(
            "context_length",
            "vocab_size",
            "width",
            "heads",
            "layers",
            "mlp_ratio",
            "pool_type",
            "proj_type",
            "hf_tokenizer_name"
        );
        RequireText(vision, "pool_type", "tok");
        RequireText(vision, "pos_embed_type", "learnable");
        RequireText(text, "pool_type", "argmax");
        RequireText(text, "proj_type", "linear");

        ClipActivation activation = model.Flag("quick_gelu") ? ClipActivation.QuickGelu : ClipActivation.Gelu;
        int visionWidth = vision.Integer("width", 768, 1, MaximumWidth),
            headWidth = vision.Integer("head_width", 64, 1, MaximumWidth);
        int textWidth = text.Integer("width", 512, 1, MaximumWidth),
            textHeads = text.Integer("heads", 8, 1, MaximumWidth);
        if (visionWidth % headWidth != 0)
            throw vision.Fault("width", $"is {visionWidth}, which head_width {headWidth} does not divide");
        if (textWidth % textHeads != 0)
            throw text.Fault("width", $"is {textWidth}, which heads {textHeads} does not divide");
        int imageSize = vision.Integer("image_size", 224, 1, MaximumPixels),
            patchSize = vision.Integer("patch_size", 16, 1, MaximumPixels);
        if (patchSize > imageSize)
            throw vision.Fault("patch_size", $"is {patchSize}, more than image_size {imageSize}");
        return new ClipConfig(
            EmbeddingWidth: model.Integer("embed_dim", 512, 1, MaximumWidth),
            ImageSize: imageSize,
            PatchSize: patchSize,
            Vision: new(
                vision.Integer("layers", 12, 1, MaximumLayers),
                visionWidth,
                visionWidth / headWidth,
                MlpWidth(vision, visionWidth),
                activation,
                NormEpsilon
            ),
            ContextLength: text.Integer("context_length", 77, 1, MaximumContext),
            VocabularySize: text.Integer("vocab_size", 49408, 1, MaximumVocabulary),
            EndOfTextId: null,
            Text: new(
                text.Integer("layers", 12, 1, MaximumLayers),
                textWidth,
                textHeads,
                MlpWidth(text, textWidth),
                activation,
                NormEpsilon
            )
        );
    }

    private static int MlpWidth(ConfigSection section, int width) => (int)(width * section.Factor("mlp_ratio", 4.0, 16.0));

    private static void RequireText(ConfigSection section, string field, string only)
    {
        if (section.Text(field, only) is var value && value != only)
            throw section.Fault(field, $"is '{value}'; only '{only}' is supported");
    }
}
