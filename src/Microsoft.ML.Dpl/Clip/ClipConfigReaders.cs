using System.Globalization;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Upper bounds for the fields of a configuration, far above those of any published CLIP.</summary>
file static class Largest
{
    public const int Layers = 512,
        Width = 1 << 16,
        MlpWidth = 1 << 18,
        Pixels = 1 << 14,
        Context = 1 << 16,
        Vocabulary = 1 << 24;
}

/// <summary>Reads the <c>config.json</c> of a Hugging Face CLIP, with that library's defaults for missing fields.</summary>
internal static class ClipConfigReader
{
    /// <summary>The end-of-text id in old configurations, whatever the actual id is.</summary>
    public const int LegacyEndOfText = 2;

    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not a configuration of a CLIP with a vision transformer, or a field is out of
    /// range.</exception>
    public static ClipConfig FromFile(string path) => Parse(ModelFile.ReadAll(path), path);

    /// <param name="json">The text of the file in UTF-8.</param>
    /// <param name="location">The file, for error messages.</param>
    /// <exception cref="InvalidDataException">For the same reasons as in <see cref="FromFile"/>.</exception>
    public static ClipConfig Parse(ReadOnlyMemory<byte> json, string location) => ConfigSection.Read(json, location, Read);

    private static ClipConfig Read(ConfigSection root)
    {
        string? type = root.Text("model_type", null);
        if (type != "clip")
            throw root.Fault("model_type", type is null ? "is missing; a CLIP's says 'clip'" : $"is '{type}'; only 'clip' is supported");

        // Old files contain a second copy of each section, which, if present, replaces the first as a whole.
        ConfigSection text = root.Section(root.Has("text_config_dict") ? "text_config_dict" : "text_config");
        ConfigSection vision = root.Section(root.Has("vision_config_dict") ? "vision_config_dict" : "vision_config");

        int imageSize = vision.Integer("image_size", 224, 1, Largest.Pixels);
        int patchSize = vision.Integer("patch_size", 32, 1, Largest.Pixels);
        if (patchSize > imageSize)
            throw vision.Fault("patch_size", $"is {patchSize}, larger than image_size {imageSize}");
        int channels = vision.Integer("num_channels", 3, 1, int.MaxValue);
        if (channels != 3)
            throw vision.Fault("num_channels", $"is {channels}; only images of 3 channels are supported");

        int vocabulary = text.Integer("vocab_size", 49408, 1, Largest.Vocabulary);
        return new ClipConfig
        {
            EmbeddingWidth = root.Integer("projection_dim", 512, 1, Largest.Width),
            Text = Transformer(text, width: 512, mlpWidth: 2048, heads: 8),
            ContextLength = text.Integer("max_position_embeddings", 77, 1, Largest.Context),
            VocabularySize = vocabulary,
            EndOfTextId = EndOfText(text, vocabulary),
            Image = Transformer(vision, width: 768, mlpWidth: 3072, heads: 12),
            ImageSize = imageSize,
            PatchSize = patchSize,
        };
    }

    private static ClipTransformerConfig Transformer(ConfigSection section, int width, int mlpWidth, int heads)
    {
        width = section.Integer("hidden_size", width, 1, Largest.Width);
        heads = section.Integer("num_attention_heads", heads, 1, Largest.Width);
        if (width % heads != 0)
            throw section.Fault("hidden_size", $"is {width}, which num_attention_heads {heads} does not divide");
        return new ClipTransformerConfig
        {
            Layers = section.Integer("num_hidden_layers", 12, 1, Largest.Layers),
            Width = width,
            Heads = heads,
            MlpWidth = section.Integer("intermediate_size", mlpWidth, 1, Largest.MlpWidth),
            Activation = Activation(section),
            NormEpsilon = section.Fraction("layer_norm_eps", 1e-5),
        };
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
        int id = text.Integer("eos_token_id", 49407, 0, Largest.Vocabulary);
        // Configurations from before this value was corrected all say 2; for them, the end of the text is the highest token id.
        if (id == LegacyEndOfText)
            return null;
        return id < vocabulary ? id : throw text.Fault("eos_token_id", $"is {id}, but ids must be below vocab_size {vocabulary}");
    }
}

/// <summary>Reads <c>open_clip_config.json</c>, with open_clip's defaults for missing fields. Fields that would result in a different
/// network than CLIP's are rejected by name.</summary>
internal static class OpenClipConfigReader
{
    private const double NormEpsilon = 1e-5;

    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not a configuration of a CLIP with a vision transformer, or a field is out of
    /// range.</exception>
    public static ClipConfig FromFile(string path) => Read(path, root => Config(root.Section("model_cfg")));

    /// <summary>Reads the preprocessing; images are always resized by their shorter side and cropped.</summary>
    /// <exception cref="InvalidDataException">The file specifies preprocessing other than CLIP's.</exception>
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

    private static T Read<T>(string path, Func<ConfigSection, T> read) => ConfigSection.Read(ModelFile.ReadAll(path), path, read);

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
        int imageWidth = vision.Integer("width", 768, 1, Largest.Width),
            headWidth = vision.Integer("head_width", 64, 1, Largest.Width);
        int textWidth = text.Integer("width", 512, 1, Largest.Width),
            textHeads = text.Integer("heads", 8, 1, Largest.Width);
        if (imageWidth % headWidth != 0)
            throw vision.Fault("width", $"is {imageWidth}, which head_width {headWidth} does not divide");
        if (textWidth % textHeads != 0)
            throw text.Fault("width", $"is {textWidth}, which heads {textHeads} does not divide");
        int imageSize = vision.Integer("image_size", 224, 1, Largest.Pixels),
            patchSize = vision.Integer("patch_size", 16, 1, Largest.Pixels);
        if (patchSize > imageSize)
            throw vision.Fault("patch_size", $"is {patchSize}, more than image_size {imageSize}");
        return new ClipConfig
        {
            EmbeddingWidth = model.Integer("embed_dim", 512, 1, Largest.Width),
            Text = new()
            {
                Layers = text.Integer("layers", 12, 1, Largest.Layers),
                Width = textWidth,
                Heads = textHeads,
                MlpWidth = MlpWidth(text, textWidth),
                Activation = activation,
                NormEpsilon = NormEpsilon,
            },
            ContextLength = text.Integer("context_length", 77, 1, Largest.Context),
            VocabularySize = text.Integer("vocab_size", 49408, 1, Largest.Vocabulary),
            Image = new()
            {
                Layers = vision.Integer("layers", 12, 1, Largest.Layers),
                Width = imageWidth,
                Heads = imageWidth / headWidth,
                MlpWidth = MlpWidth(vision, imageWidth),
                Activation = activation,
                NormEpsilon = NormEpsilon,
            },
            ImageSize = imageSize,
            PatchSize = patchSize,
        };
    }

    private static int MlpWidth(ConfigSection section, int width) => (int)(width * section.Factor("mlp_ratio", 4.0, 16.0));

    private static void RequireText(ConfigSection section, string field, string only)
    {
        if (section.Text(field, only) is var value && value != only)
            throw section.Fault(field, $"is '{value}'; only '{only}' is supported");
    }
}

/// <summary>Derives the configuration of a checkpoint with OpenAI's names from its tensors' shapes, because such files contain no
/// configuration.</summary>
internal static class OpenAIConfig
{
    private const int HeadWidth = 64;
    private const double NormEpsilon = 1e-5;

    /// <summary>Assumes quick GELU, 64 floats per head and the highest token id as the end of the text, as in OpenAI's code.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is not a CLIP with a vision transformer with OpenAI's names.</exception>
    public static ClipConfig FromShapes(ITensorSource source)
    {
        ClipCheckpoint.RefuseResNet(source);
        IReadOnlyList<long> patches = Shape(source, "visual.conv1.weight", 4),
            places = Shape(source, "visual.positional_embedding", 2);
        IReadOnlyList<long> tokens = Shape(source, "token_embedding.weight", 2),
            projection = Shape(source, "text_projection", 2);
        int grid = Grid(source, places[0]),
            patch = Size(source, "visual.conv1.weight", patches[3]);
        return new ClipConfig
        {
            EmbeddingWidth = Size(source, "text_projection", projection[1]),
            Text = Transformer(source, ClipLayout.TextBlocks, "token_embedding.weight", tokens[1]),
            ContextLength = Size(source, "positional_embedding", Shape(source, "positional_embedding", 2)[0]),
            VocabularySize = Size(source, "token_embedding.weight", tokens[0]),
            Image = Transformer(source, ClipLayout.ImageBlocks, "visual.conv1.weight", patches[0]),
            ImageSize = Size(source, "visual.conv1.weight", (long)grid * patch),
            PatchSize = patch,
        };
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
                $"{source.Location}: tensor '{widthFrom}' implies a width of {width}, which is not a multiple of {HeadWidth}, the width of "
                    + "a head in OpenAI's models."
            );
        string up = $"{prefix}0.mlp.c_fc.weight";
        int mlp = Size(source, up, Shape(source, up, 2)[0]);
        return new ClipTransformerConfig
        {
            Layers = layers,
            Width = Size(source, widthFrom, width),
            Heads = Size(source, widthFrom, width / HeadWidth),
            MlpWidth = mlp,
            Activation = ClipActivation.QuickGelu,
            NormEpsilon = NormEpsilon,
        };
    }

    private static int Grid(ITensorSource source, long positions)
    {
        long grid = positions < 2 ? 0 : (long)Math.Sqrt(positions - 1);
        if (grid == 0 || grid * grid != positions - 1)
            throw new InvalidDataException(
                $"{source.Location}: tensor 'visual.positional_embedding' has {positions} rows, which is not a square number plus one."
            );
        return Size(source, "visual.positional_embedding", grid);
    }

    private static IReadOnlyList<long> Shape(ITensorSource source, string name, int dimensions)
    {
        if (!source.Entries.TryGetValue(name, out TensorEntry? entry))
            throw new InvalidDataException(
                $"{source.Location}: there is no tensor '{name}'; it is not a CLIP in OpenAI's names. A folder in Hugging Face's layout "
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
            : throw new InvalidDataException($"{source.Location}: tensor '{name}' implies a size of {size}, which no CLIP has.");
}
