using System.Text.Json;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>A pair of files by which a folder, or a repository of the hub, holds a CLIP.</summary>
/// <param name="Config">The file of the shape.</param>
/// <param name="Weights">The file of the weights, or their index.</param>
internal sealed record FolderLayout(string Config, string Weights)
{
    public const string HuggingFaceConfig = "config.json",
        OpenClipConfig = "open_clip_config.json",
        SingleFile = "model.safetensors",
        Index = "model.safetensors.index.json",
        Archive = "pytorch_model.bin";

    private const string OpenClipFile = "open_clip_model.safetensors",
        OpenClipArchive = "open_clip_pytorch_model.bin";

    /// <summary>All of them, the best first: safetensors can be read without unpacking, and Hugging Face's files say more than
    /// open_clip's.</summary>
    public static IReadOnlyList<FolderLayout> All { get; } =
    [
        new(HuggingFaceConfig, SingleFile),
        new(HuggingFaceConfig, Index),
        new(OpenClipConfig, OpenClipFile),
        new(HuggingFaceConfig, Archive),
        new(OpenClipConfig, OpenClipArchive),
    ];

    /// <summary>Whether a file is named as open_clip names its weights, which say neither activation nor heads: only the configuration
    /// beside them does.</summary>
    public static bool IsOpenClipWeights(string path) => Path.GetFileName(path) is OpenClipFile or OpenClipArchive;

    public bool IsOpenClip => Config == OpenClipConfig;

    public bool IsIndex => Weights == Index;

    public bool IsArchive => Weights is Archive or OpenClipArchive;

    /// <summary>The best layout whose files are there; null where none's are.</summary>
    /// <param name="has">Whether there is a file of a name.</param>
    /// <param name="huggingFaceConfig">The path of config.json, read only where there is a choice; null where there is no such
    /// file.</param>
    public static FolderLayout? Choose(Func<string, bool> has, string? huggingFaceConfig)
    {
        FolderLayout[] present = [.. All.Where(layout => has(layout.Config) && has(layout.Weights))];
        // A repository may hold an image model's config.json beside open_clip's files.
        bool otherKind = present.Any(layout => layout.IsOpenClip) && huggingFaceConfig is not null && !SaysClip(huggingFaceConfig);
        return present.FirstOrDefault(layout => layout.IsOpenClip || !otherKind);
    }

    private static bool SaysClip(string config)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(config));
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("model_type", out JsonElement type)
                && type.ValueKind == JsonValueKind.String
                && type.GetString() == "clip";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Broken text is reported with the former and broken UTF-8 with the latter.
            return false; // the other configuration is used; a broken one that is needed is reported by its reader
        }
    }
}
