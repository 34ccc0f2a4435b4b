using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>Evaluates a saved CLIP after loading it from its folder, as an application would.</summary>
internal static class SavedClip
{
    /// <exception cref="InvalidDataException">The folder does not contain a CLIP.</exception>
    public static IReadOnlyList<ZeroShotResult> Evaluate(string folder, int seed, int images, Device device)
    {
        ClipBackbone backbone = ClipBackbone.FromFolder(folder);
        using LearnedClip clip = Read(backbone, folder, device);
        return ZeroShotEvaluation.Run(
            new ContrastiveModel(clip),
            backbone.Config,
            backbone.CreateTokenizer(),
            ZeroShotEvaluation.HeldOut(seed),
            images
        );
    }

    /// <summary>Reads the weights of a saved folder.</summary>
    public static LearnedClip Read(ClipBackbone backbone, string folder, Device device)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        var checkpoint = new ClipCheckpoint(
            file,
            ClipNaming.HuggingFace,
            ClipLayout.Image(backbone.Config).Concat(ClipLayout.Text(backbone.Config))
        );
        return new LearnedClip(backbone.Config, expected => checkpoint.Read(expected.Name), device);
    }
}
