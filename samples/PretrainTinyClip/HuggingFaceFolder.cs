using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>Saves a CLIP as a folder in Hugging Face's layout: float16 weights, configuration, vocabulary and image processor.</summary>
internal static class HuggingFaceFolder
{
    /// <param name="folder">The folder, created if it is missing; files of the same name are replaced.</param>
    /// <param name="clip">The weights.</param>
    /// <param name="vocabulary">The vocabulary of the text tower.</param>
    public static void Save(string folder, LearnedClip clip, PairVocabulary vocabulary)
    {
        Directory.CreateDirectory(folder);
        vocabulary.Save(folder);
        WriteJson(Path.Combine(folder, "config.json"), Configuration(clip.Config));
        WriteJson(Path.Combine(folder, "preprocessor_config.json"), Preprocessing(clip.Config.ImageSize));
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var stored = new Dictionary<string, Tensor>();
        foreach (ExpectedTensor expected in ClipLayout.Image(clip.Config).Concat(ClipLayout.Text(clip.Config)))
        {
            StoredTensor place = ClipNaming.HuggingFace.Locate(expected);
            Tensor value = clip.Values[expected.Name].detach().cpu().to(ScalarType.Float16);
            Tensor[] parts = place.Names.Count == 1 ? [value] : value.chunk(place.Names.Count, 0);
            for (int i = 0; i < parts.Length; i++)
                stored.Add(place.Names[i], place.Transposed ? parts[i].t().contiguous() : parts[i].contiguous());
        }
        WholeFile.Write(Path.Combine(folder, "model.safetensors"), stream =>
            SafetensorsWriter.Write(stream, stored, new Dictionary<string, string> { ["format"] = "pt" })
        );
    }

    private static object Configuration(ClipConfig config) =>
        new
        {
            architectures = new[] { "CLIPModel" },
            model_type = "clip",
            projection_dim = config.EmbeddingWidth,
            logit_scale_init_value = 2.6592,
            text_config = new
            {
                model_type = "clip_text_model",
                hidden_act = "quick_gelu",
                hidden_size = config.Text.Width,
                intermediate_size = config.Text.MlpWidth,
                num_attention_heads = config.Text.Heads,
                num_hidden_layers = config.Text.Layers,
                max_position_embeddings = config.ContextLength,
                vocab_size = config.VocabularySize,
                bos_token_id = config.EndOfTextId - 1,
                eos_token_id = config.EndOfTextId,
                pad_token_id = config.EndOfTextId,
            },
            vision_config = new
            {
                model_type = "clip_vision_model",
                hidden_act = "quick_gelu",
                hidden_size = config.Image.Width,
                intermediate_size = config.Image.MlpWidth,
                num_attention_heads = config.Image.Heads,
                num_hidden_layers = config.Image.Layers,
                image_size = config.ImageSize,
                patch_size = config.PatchSize,
            },
            torch_dtype = "float16",
        };

    private static object Preprocessing(int size)
    {
        ClipImageProcessorConfig processor = ClipImageProcessorConfig.Default(size);
        return new
        {
            image_processor_type = "CLIPImageProcessor",
            do_convert_rgb = true,
            do_resize = true,
            size = new { shortest_edge = size },
            resample = 3,
            do_center_crop = true,
            crop_size = new { height = size, width = size },
            do_rescale = true,
            rescale_factor = 1.0 / 255,
            do_normalize = true,
            image_mean = processor.Mean,
            image_std = processor.Deviation,
        };
    }

    private static void WriteJson(string path, object content) =>
        WholeFile.Write(path, stream => JsonSerializer.Serialize(stream, content, new JsonSerializerOptions { WriteIndented = true }));
}
