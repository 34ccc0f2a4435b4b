using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>How every verb understands the CLIP that a person names.</summary>
internal static class BackboneArgument
{
    /// <summary>For the help of options and arguments that take a CLIP.</summary>
    public const string Description = "The CLIP: 'tiny', a folder, a .safetensors or .pt file, or a name such as ViT-B/16 or openai/clip-vit-base-patch16.";

    /// <summary>Opens the CLIP; files and folders come before names.</summary>
    /// <param name="nameOrPath">As <see cref="Description"/> says.</param>
    /// <exception cref="IOException">There is no such CLIP, or a file that belongs to it is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or it is no CLIP with a vision transformer.</exception>
    public static ClipBackbone Resolve(string nameOrPath) => ClipBackbone.Open(nameOrPath);
}
