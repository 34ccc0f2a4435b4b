using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.Prompts;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A CLIP folder in Hugging Face layout with random weights and a vocabulary of single bytes and one merge: the whole path runs on it in seconds.</summary>
public sealed class SmallBackbone : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SmallBackbone()
    {
        Write(_folder.FullPath, seed: 7);
        Backbone = ClipBackbone.FromFolder(_folder.FullPath);
    }

    public string Folder => _folder.FullPath;

    public ClipBackbone Backbone { get; }

    public void Dispose() => _folder.Dispose();

    /// <summary>Writes such a folder; other seeds give other weights.</summary>
    public static void Write(string folder, int seed) => Write(folder, seed, RandomClip.Shape(imageSize: 24, patch: 8));

    /// <param name="folder">An existing one.</param>
    /// <param name="seed">Of the weights.</param>
    /// <param name="shape">Everything but the vocabulary and the context length.</param>
    internal static void Write(string folder, int seed, ClipConfig shape)
    {
        const int symbols = 2 * 256 + 1;
        ClipConfig config = shape with { VocabularySize = symbols + 2, EndOfTextId = symbols + 1, ContextLength = 48 };
        using var clip = new RandomClip(config, seed);
        using (FileStream stream = File.Create(Path.Combine(folder, "model.safetensors")))
        using (NewDisposeScope())
        {
            SafetensorsWriter.Write(stream, HuggingFaceNames(clip));
        }
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new
        {
            model_type = "clip",
            projection_dim = config.EmbeddingWidth,
            text_config = Branch(config.Text, new() { ["vocab_size"] = config.VocabularySize, ["max_position_embeddings"] = config.ContextLength, ["eos_token_id"] = symbols + 1, ["bos_token_id"] = symbols }),
            vision_config = Branch(config.Vision, new() { ["image_size"] = config.ImageSize, ["patch_size"] = config.PatchSize }),
        }));
        char[] bytes = [.. Enumerable.Range('!', '~' - '!' + 1).Concat(Enumerable.Range(0xA1, 0xAC - 0xA1 + 1)).Concat(Enumerable.Range(0xAE, 0xFF - 0xAE + 1)).Select(c => (char)c)];
        bytes = [.. bytes, .. Enumerable.Range(256, 256 - bytes.Length).Select(c => (char)c)];
        string[] tokens = [.. bytes.Select(c => c.ToString()), .. bytes.Select(c => c + "</w>"), "ed</w>", "<|startoftext|>", "<|endoftext|>"];
        File.WriteAllText(Path.Combine(folder, "vocab.json"), JsonSerializer.Serialize(tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id)));
        File.WriteAllText(Path.Combine(folder, "merges.txt"), "#version: 0.2\ne d</w>\n");
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

    private static Dictionary<string, Tensor> HuggingFaceNames(RandomClip clip)
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
        foreach (var (hugging, openAI, layers) in new[] { ("text_model", "transformer", clip.Config.Text.Layers), ("vision_model", "visual.transformer", clip.Config.Vision.Layers) })
        {
            for (int layer = 0; layer < layers; layer++)
            {
                string to = $"{hugging}.encoder.layers.{layer}.", from = $"{openAI}.resblocks.{layer}.";
                Both(to + "layer_norm1", from + "ln_1");
                Both(to + "layer_norm2", from + "ln_2");
                Both(to + "self_attn.out_proj", from + "attn.out_proj");
                Both(to + "mlp.fc1", from + "mlp.c_fc");
                Both(to + "mlp.fc2", from + "mlp.c_proj");
                foreach (string kind in new[] { "weight", "bias" })
                {
                    Tensor[] parts = clip.Read($"{from}attn.in_proj_{kind}").chunk(3);
                    foreach (var (part, name) in parts.Zip(["q_proj", "k_proj", "v_proj"])) tensors[$"{to}self_attn.{name}.{kind}"] = part.contiguous();
                }
            }
        }
        return tensors;
    }
}
