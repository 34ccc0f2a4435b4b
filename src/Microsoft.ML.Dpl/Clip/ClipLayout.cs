namespace Microsoft.ML.Dpl.Clip;

/// <summary>A tensor that a CLIP must have, under OpenAI's name.</summary>
/// <param name="Name">OpenAI's parameter name.</param>
/// <param name="Shape">Its shape there.</param>
/// <param name="Fields">The configuration fields, in Hugging Face's names, that give the shape; <c>null</c>: no field does. For
/// messages.</param>
internal sealed record ExpectedTensor(string Name, IReadOnlyList<long> Shape, string? Fields);

/// <summary>All tensors of a CLIP with a vision transformer, in OpenAI's names and shapes.</summary>
internal static class ClipLayout
{
    public const string VisionBlocks = "visual.transformer.resblocks.",
        TextBlocks = "transformer.resblocks.";

    public static IEnumerable<ExpectedTensor> Vision(ClipConfig config)
    {
        long width = config.Vision.Width,
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
            .. Blocks(VisionBlocks, config.Vision, "vision_config"),
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
