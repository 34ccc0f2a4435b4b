using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool;

/// <summary>Resolves the CLIP that the user names, in the same way for all commands.</summary>
internal static class BackboneArgument
{
    /// <summary>Help text of options and arguments that take a CLIP.</summary>
    public const string Description =
        "The CLIP: 'tiny', 'tiny-drawn', a folder, a .safetensors or .pt file, or a name such as ViT-B/16 or openai/clip-vit-base-patch16, "
        + "which is downloaded once.";

    /// <summary>The known names, for completion.</summary>
    public static string[] Names { get; } =
    [ClipBackbone.TinyName, ClipBackbone.TinyDrawnName, .. KnownClip.All.Select(known => known.Name)];

    /// <summary>Opens the CLIP, downloading it if it is given by name and not in the cache; files and folders take precedence over
    /// names.</summary>
    /// <param name="nameOrPath">A name, file or folder as in <see cref="Description"/>.</param>
    /// <param name="options">Options for a download; null: taken from the environment. Progress is shown on the error stream.</param>
    /// <param name="cancellationToken">Cancels a download; the next call resumes it.</param>
    /// <exception cref="IOException">There is no such CLIP, it could not be downloaded, or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or it is not a CLIP with a vision
    /// transformer.</exception>
    public static ClipBackbone Resolve(string nameOrPath, HubOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (File.Exists(nameOrPath))
            return OpenFile(nameOrPath, options, cancellationToken);
        if (Directory.Exists(nameOrPath) || nameOrPath is ClipBackbone.TinyName or ClipBackbone.TinyDrawnName)
            return ClipBackbone.Open(nameOrPath);
        if (!IsName(nameOrPath))
            throw new FileNotFoundException(
                $"There is no file or folder '{nameOrPath}', nor is that a CLIP's name. Use "
                    + $"{string.Join(", ", KnownClip.All.Select(known => known.Name).Take(4))}, or a repository of the hub such as "
                    + "openai/clip-vit-base-patch16.",
                nameOrPath
            );
        try
        {
            return DownloadDisplay.Run(options, shown => ClipBackbone.FromPretrainedAsync(nameOrPath, shown, cancellationToken));
        }
        catch (HubException e) when (e.Failure == HubFailure.RepositoryNotFound)
        {
            throw new HubException(e.Failure, $"There is no file or folder '{nameOrPath}' here, and {e.Message}", e);
        }
    }

    /// <summary>Whether a text names a model on the hub rather than a local path.</summary>
    private static bool IsName(string text) =>
        KnownClip.Find(text) is not null
        || (
            text.Count(c => c == '/') == 1
            && !Path.IsPathRooted(text)
            && text[0] is not ('.' or '~')
            && text[^1] != '/'
            && Path.GetExtension(text) is not (".safetensors" or ".pt" or ".pth" or ".bin")
        );

    /// <summary>Opens a single file. It contains no vocabulary; if there is none next to it or in the cache, OpenAI's is downloaded from
    /// the hub.</summary>
    private static ClipBackbone OpenFile(string path, HubOptions? options, CancellationToken cancellationToken)
    {
        try
        {
            return ClipBackbone.Open(path);
        }
        catch (FileNotFoundException e) when (e.FileName is { } missing && Path.GetFullPath(missing) != Path.GetFullPath(path))
        {
            string vocabulary;
            try
            {
                vocabulary = DownloadDisplay.Run(options, shown =>
                    ClipHub.FetchVocabularyAsync(options: shown, cancellationToken: cancellationToken)
                );
            }
            catch (HubException hub)
            {
                throw new FileNotFoundException($"{e.Message} It could not be downloaded either: {hub.Message}", missing, hub);
            }
            ClipBackbone backbone = ClipBackbone.FromOpenAI(path, vocabulary);
            // OpenAI's vocabulary does not apply to weights that were trained with other tokens.
            if (backbone.Config.VocabularySize != KnownClip.Find("ViT-B/16")!.Config.VocabularySize)
                throw;
            return backbone;
        }
    }
}
