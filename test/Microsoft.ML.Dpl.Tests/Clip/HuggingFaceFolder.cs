using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>Writes a CLIP in the layout of Hugging Face's <c>CLIPModel</c>. The tensor names are spelt out here, so that the library's name
/// mapping is checked independently of itself.</summary>
internal static class HuggingFaceFolder
{
    public const string Weights = "model.safetensors",
        Index = "model.safetensors.index.json";

    /// <summary>The end-of-text id that older configurations contain, whatever the vocabulary.</summary>
    public const int LegacyEndOfTextId = 2;

    /// <summary>Writes config.json and the weights, but no vocabulary; its last two ids are the start-of-text and end-of-text
    /// tokens.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="clip">The weights, named as in OpenAI's files.</param>
    /// <param name="config">The configuration of <paramref name="clip"/>.</param>
    /// <param name="isSharded">Whether the weights are spread over two files with an index.</param>
    /// <param name="endOfTextId">The end-of-text id to write to config.json; null: the correct one.</param>
    public static void Write(string folder, ITensorSource clip, ClipConfig config, bool isSharded = false, int? endOfTextId = null)
    {
        using (NewDisposeScope())
        {
            Dictionary<string, Tensor> tensors = Renamed(clip, config);
            if (isSharded)
                WriteShards(folder, tensors);
            else
                File.WriteAllBytes(Path.Combine(folder, Weights), SafetensorsBytes.Write(tensors));
        }
        File.WriteAllText(
            Path.Combine(folder, "config.json"),
            JsonSerializer.Serialize(
                new
                {
                    model_type = "clip",
                    projection_dim = config.EmbeddingWidth,
                    text_config = Branch(
                        config.Text,
                        new()
                        {
                            ["vocab_size"] = config.VocabularySize,
                            ["max_position_embeddings"] = config.ContextLength,
                            ["eos_token_id"] = endOfTextId ?? config.VocabularySize - 1,
                            ["bos_token_id"] = config.VocabularySize - 2,
                        }
                    ),
                    vision_config = Branch(config.Image, new() { ["image_size"] = config.ImageSize, ["patch_size"] = config.PatchSize }),
                }
            )
        );
    }

    /// <summary>Writes the golden case tiny-b: either in one file, or as older tools did, in shards and with the legacy end-of-text
    /// id.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="isSharded">Whether to write shards and the legacy end-of-text id.</param>
    /// <returns>The path of the weights, or of their index.</returns>
    public static string WriteGolden(string folder, bool isSharded = false)
    {
        using SafetensorsFile clip = SafetensorsFile.Open(GoldenFolder.At("tiny-b/clip.safetensors"));
        Write(folder, clip, OpenAIConfig.FromShapes(clip), isSharded, isSharded ? LegacyEndOfTextId : null);
        return Path.Combine(folder, isSharded ? Index : Weights);
    }

    /// <summary>Writes vocab.json and merges.txt: all bytes in the order of their symbols, all bytes at the end of a word, one token for
    /// each merge, and the two special tokens.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="merges">The merges, each as two symbols separated by a space.</param>
    public static void WriteVocabulary(string folder, IReadOnlyList<string> merges)
    {
        int[] printable =
        [
            .. Enumerable.Range('!', '~' - '!' + 1),
            .. Enumerable.Range(0xA1, 0xAC - 0xA1 + 1),
            .. Enumerable.Range(0xAE, 0xFF - 0xAE + 1),
        ];
        string[] symbols = [.. printable.Concat(Enumerable.Range(256, 256 - printable.Length)).Select(c => $"{(char)c}")];
        string[] tokens =
        [
            .. symbols,
            .. symbols.Select(c => c + "</w>"),
            .. merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal)),
            "<|startoftext|>",
            "<|endoftext|>",
        ];
        File.WriteAllText(
            Path.Combine(folder, VocabularyFiles.Ids),
            JsonSerializer.Serialize(tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id))
        );
        File.WriteAllText(Path.Combine(folder, VocabularyFiles.Merges), $"#version: 0.2\n{string.Join('\n', merges)}\n");
    }

    private static void WriteShards(string folder, Dictionary<string, Tensor> tensors)
    {
        long total = tensors.Values.Sum(Bytes),
            before = 0;
        var shardOf = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (string name in tensors.Keys.Order(StringComparer.Ordinal))
        {
            shardOf[name] = $"model-0000{(before * 2 < total ? 1 : 2)}-of-00002.safetensors";
            before += Bytes(tensors[name]);
        }
        foreach (var shard in shardOf.GroupBy(entry => entry.Value, entry => KeyValuePair.Create(entry.Key, tensors[entry.Key])))
            File.WriteAllBytes(Path.Combine(folder, shard.Key), SafetensorsBytes.Write(shard));
        File.WriteAllText(
            Path.Combine(folder, Index),
            JsonSerializer.Serialize(new { metadata = new { total_size = total }, weight_map = shardOf })
        );

        static long Bytes(Tensor tensor) => tensor.NumberOfElements * tensor.ElementSize;
    }

    private static Dictionary<string, object> Branch(ClipTransformerConfig branch, Dictionary<string, object> more)
    {
        more["hidden_size"] = branch.Width;
        more["intermediate_size"] = branch.MlpWidth;
        more["num_hidden_layers"] = branch.Layers;
        more["num_attention_heads"] = branch.Heads;
        more["hidden_act"] = branch.Activation == ClipActivation.Gelu ? "gelu" : "quick_gelu";
        return more;
    }

    private static Dictionary<string, Tensor> Renamed(ITensorSource clip, ClipConfig config)
    {
        var tensors = new Dictionary<string, Tensor>
        {
            ["logit_scale"] = clip.Read("logit_scale"),
            ["text_model.embeddings.token_embedding.weight"] = clip.Read("token_embedding.weight"),
            ["text_model.embeddings.position_embedding.weight"] = clip.Read("positional_embedding"),
            ["text_projection.weight"] = clip.Read("text_projection").t().contiguous(),
            ["vision_model.embeddings.class_embedding"] = clip.Read("visual.class_embedding"),
            ["vision_model.embeddings.patch_embedding.weight"] = clip.Read("visual.conv1.weight"),
            ["vision_model.embeddings.position_embedding.weight"] = clip.Read("visual.positional_embedding"),
            ["visual_projection.weight"] = clip.Read("visual.proj").t().contiguous(),
        };
        void Both(string hugging, string openAI)
        {
            tensors[hugging + ".weight"] = clip.Read(openAI + ".weight");
            tensors[hugging + ".bias"] = clip.Read(openAI + ".bias");
        }
        Both("text_model.final_layer_norm", "ln_final");
        Both("vision_model.pre_layrnorm", "visual.ln_pre");
        Both("vision_model.post_layernorm", "visual.ln_post");
        foreach (
            var (hugging, openAI, layers) in new[]
            {
                ("text_model", "transformer", config.Text.Layers),
                ("vision_model", "visual.transformer", config.Image.Layers),
            }
        )
        {
            for (int layer = 0; layer < layers; layer++)
            {
                string to = $"{hugging}.encoder.layers.{layer}.",
                    from = $"{openAI}.resblocks.{layer}.";
                Both(to + "layer_norm1", from + "ln_1");
                Both(to + "layer_norm2", from + "ln_2");
                Both(to + "self_attn.out_proj", from + "attn.out_proj");
                Both(to + "mlp.fc1", from + "mlp.c_fc");
                Both(to + "mlp.fc2", from + "mlp.c_proj");
                foreach (string kind in new[] { "weight", "bias" })
                {
                    Tensor[] parts = clip.Read($"{from}attn.in_proj_{kind}").chunk(3);
                    foreach (var (part, name) in parts.Zip(["q_proj", "k_proj", "v_proj"]))
                        tensors[$"{to}self_attn.{name}.{kind}"] = part.contiguous();
                }
            }
        }
        return tensors;
    }

    /// <summary>Writes preprocessor_config.json with the image preprocessing of OpenAI's CLIPs.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="imageSize">Side length in pixels.</param>
    public static void WritePreprocessor(string folder, int imageSize) =>
        File.WriteAllText(
            Path.Combine(folder, "preprocessor_config.json"),
            JsonSerializer.Serialize(
                new
                {
                    size = imageSize,
                    crop_size = imageSize,
                    image_mean = new[] { 0.48145466, 0.4578275, 0.40821073 },
                    image_std = new[] { 0.26862954, 0.26130258, 0.27577711 },
                }
            )
        );
}
