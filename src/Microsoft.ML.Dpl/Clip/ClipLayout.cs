using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>A tensor that a CLIP must have, under OpenAI's name.</summary>
/// <param name="Name">OpenAI's parameter name.</param>
/// <param name="Shape">Its shape in OpenAI's layout.</param>
/// <param name="Fields">The configuration fields, by Hugging Face's names, that determine the shape, for error messages; <c>null</c> if the
/// shape does not depend on any.</param>
internal sealed record ExpectedTensor(string Name, IReadOnlyList<long> Shape, string? Fields);

/// <summary>All tensors of a CLIP with a vision transformer, in OpenAI's names and shapes.</summary>
internal static class ClipLayout
{
    public const string ImageBlocks = "visual.transformer.resblocks.",
        TextBlocks = "transformer.resblocks.";

    public static IEnumerable<ExpectedTensor> Image(ClipConfig config)
    {
        long width = config.Image.Width,
            patch = config.PatchSize;
        const string hidden = "vision_config.hidden_size";
        return
        [
            new("visual.conv1.weight", [width, 3, patch, patch], $"{hidden}, vision_config.patch_size"),
            new("visual.class_embedding", [width], hidden),
            new(
                "visual.positional_embedding",
                [1 + (long)config.Grid * config.Grid, width],
                $"vision_config.image_size, vision_config.patch_size, {hidden}"
            ),
            .. Norm("visual.ln_pre", width, hidden),
            .. Blocks(ImageBlocks, config.Image, "vision_config"),
            .. Norm("visual.ln_post", width, hidden),
            new("visual.proj", [width, config.EmbeddingWidth], $"{hidden}, projection_dim"),
        ];
    }

    public static IEnumerable<ExpectedTensor> Text(ClipConfig config)
    {
        long width = config.Text.Width;
        const string hidden = "text_config.hidden_size";
        return
        [
            new("token_embedding.weight", [config.VocabularySize, width], $"text_config.vocab_size, {hidden}"),
            new("positional_embedding", [config.ContextLength, width], $"text_config.max_position_embeddings, {hidden}"),
            .. Blocks(TextBlocks, config.Text, "text_config"),
            .. Norm("ln_final", width, hidden),
            new("text_projection", [width, config.EmbeddingWidth], $"{hidden}, projection_dim"),
            new("logit_scale", [], Fields: null),
        ];
    }

    private static IEnumerable<ExpectedTensor> Blocks(string prefix, ClipTransformerConfig config, string section)
    {
        long width = config.Width,
            mlp = config.MlpWidth;
        string hidden = $"{section}.hidden_size",
            both = $"{hidden}, {section}.intermediate_size";
        return Enumerable
            .Range(0, config.Layers)
            .Select(layer => $"{prefix}{layer}")
            .SelectMany(block =>
                (ExpectedTensor[])
                    [
                        .. Norm($"{block}.ln_1", width, hidden),
                        new($"{block}.attn.in_proj_weight", [3 * width, width], hidden),
                        new($"{block}.attn.in_proj_bias", [3 * width], hidden),
                        new($"{block}.attn.out_proj.weight", [width, width], hidden),
                        new($"{block}.attn.out_proj.bias", [width], hidden),
                        .. Norm($"{block}.ln_2", width, hidden),
                        new($"{block}.mlp.c_fc.weight", [mlp, width], both),
                        new($"{block}.mlp.c_fc.bias", [mlp], $"{section}.intermediate_size"),
                        new($"{block}.mlp.c_proj.weight", [width, mlp], both),
                        new($"{block}.mlp.c_proj.bias", [width], hidden),
                    ]
            );
    }

    private static IEnumerable<ExpectedTensor> Norm(string name, long width, string field) =>
        [new($"{name}.weight", [width], field), new($"{name}.bias", [width], field)];
}

/// <summary>Where a checkpoint stores one of the tensors of <see cref="ClipLayout"/>.</summary>
/// <param name="Names">The parts, stacked along the first axis.</param>
/// <param name="PartShape">The shape of each part as stored.</param>
/// <param name="Transposed">Whether the tensor is stored transposed.</param>
internal sealed record StoredTensor(IReadOnlyList<string> Names, IReadOnlyList<long> PartShape, bool Transposed);

/// <summary>The naming schemes of parameters in CLIP checkpoints.</summary>
internal abstract class ClipNaming
{
    private const string TwoTowers = "text.";

    /// <summary>The names of OpenAI's own release: Q, K and V in one matrix, and projections that multiply from the right.</summary>
    public static ClipNaming OpenAI { get; } = new OpenAINaming();

    /// <summary>The names of Hugging Face's <c>CLIPModel</c>: separate Q, K and V, and projections as linear layers.</summary>
    public static ClipNaming HuggingFace { get; } = new HuggingFaceNaming();

    /// <summary>The names of open_clip: OpenAI's, with the text tower under <c>text.</c> if the model was built from two separate
    /// towers.</summary>
    public static ClipNaming ForOpenClip(ITensorSource source) =>
        new OpenClipNaming(source.Entries.ContainsKey(TwoTowers + "token_embedding.weight") ? TwoTowers : "");

    public abstract StoredTensor Locate(ExpectedTensor tensor);

    /// <summary>Where the expected shape comes from, for error messages.</summary>
    public abstract string Explain(ExpectedTensor tensor);

    private sealed class OpenAINaming : ClipNaming
    {
        public override StoredTensor Locate(ExpectedTensor tensor) => new([tensor.Name], tensor.Shape, Transposed: false);

        public override string Explain(ExpectedTensor tensor) => "the file's other tensors require that";
    }

    private sealed class OpenClipNaming(string textPrefix) : ClipNaming
    {
        public override StoredTensor Locate(ExpectedTensor tensor) =>
            new(
                [
                    tensor.Name == "logit_scale" || tensor.Name.StartsWith("visual.", StringComparison.Ordinal)
                        ? tensor.Name
                        : textPrefix + tensor.Name,
                ],
                tensor.Shape,
                Transposed: false
            );

        public override string Explain(ExpectedTensor tensor) => $"{FolderLayout.OpenClipConfig} requires that";
    }

    private sealed class HuggingFaceNaming : ClipNaming
    {
        private static readonly Dictionary<string, string> Outside = new()
        {
            ["visual.conv1.weight"] = "vision_model.embeddings.patch_embedding.weight",
            ["visual.class_embedding"] = "vision_model.embeddings.class_embedding",
            ["visual.positional_embedding"] = "vision_model.embeddings.position_embedding.weight",
            // The misspelling is Hugging Face's.
            ["visual.ln_pre.weight"] = "vision_model.pre_layrnorm.weight",
            ["visual.ln_pre.bias"] = "vision_model.pre_layrnorm.bias",
            ["visual.ln_post.weight"] = "vision_model.post_layernorm.weight",
            ["visual.ln_post.bias"] = "vision_model.post_layernorm.bias",
            ["visual.proj"] = "visual_projection.weight",
            ["token_embedding.weight"] = "text_model.embeddings.token_embedding.weight",
            ["positional_embedding"] = "text_model.embeddings.position_embedding.weight",
            ["ln_final.weight"] = "text_model.final_layer_norm.weight",
            ["ln_final.bias"] = "text_model.final_layer_norm.bias",
            ["text_projection"] = "text_projection.weight",
            ["logit_scale"] = "logit_scale",
        };

        private static readonly (string OpenAI, string HuggingFace)[] InBlock =
        [
            (".ln_1.", ".layer_norm1."),
            (".ln_2.", ".layer_norm2."),
            (".attn.out_proj.", ".self_attn.out_proj."),
            (".mlp.c_fc.", ".mlp.fc1."),
            (".mlp.c_proj.", ".mlp.fc2."),
        ];

        public override StoredTensor Locate(ExpectedTensor tensor)
        {
            string name = tensor.Name;
            if (Outside.TryGetValue(name, out string? whole))
            {
                bool transposed = name is "visual.proj" or "text_projection";
                return new([whole], transposed ? [tensor.Shape[1], tensor.Shape[0]] : tensor.Shape, transposed);
            }

            name = name.StartsWith(ClipLayout.ImageBlocks, StringComparison.Ordinal)
                ? string.Concat("vision_model.encoder.layers.", name.AsSpan(ClipLayout.ImageBlocks.Length))
                : string.Concat("text_model.encoder.layers.", name.AsSpan(ClipLayout.TextBlocks.Length));
            const string stacked = ".attn.in_proj_";
            if (name.IndexOf(stacked, StringComparison.Ordinal) is var at and > 0)
            {
                string kind = name[(at + stacked.Length)..];
                return new(
                    [.. "qkv".Select(part => $"{name[..at]}.self_attn.{part}_proj.{kind}")],
                    [tensor.Shape[0] / 3, .. tensor.Shape.Skip(1)],
                    Transposed: false
                );
            }
            foreach (var (openAI, huggingFace) in InBlock)
                name = name.Replace(openAI, huggingFace, StringComparison.Ordinal);
            return new([name], tensor.Shape, Transposed: false);
        }

        public override string Explain(ExpectedTensor tensor) =>
            tensor.Fields is null ? "that is so in every CLIP" : $"config.json requires that with {tensor.Fields}";
    }
}
