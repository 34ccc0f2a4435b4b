using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.Network;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A CLIP folder in Hugging Face layout with random weights and a vocabulary of single bytes and one merge: everything from
/// fitting to prediction runs on it in seconds.</summary>
public sealed class SmallBackbone : IDisposable
{
    private const int ImageSize = 24;

    private readonly TemporaryFolder _folder = new();

    public SmallBackbone()
    {
        Write(_folder.FullPath, seed: 7);
        HuggingFaceFolder.WritePreprocessor(_folder.FullPath, ImageSize);
        Backbone = ClipBackbone.FromFolder(_folder.FullPath);
    }

    public string Folder => _folder.FullPath;

    public ClipBackbone Backbone { get; }

    public void Dispose() => _folder.Dispose();

    /// <summary>Writes such a folder, with weights drawn from the seed.</summary>
    public static void Write(string folder, int seed) => Write(folder, seed, RandomClip.Shape(ImageSize, patch: 8));

    /// <param name="folder">An existing folder.</param>
    /// <param name="seed">The seed of the random weights.</param>
    /// <param name="shape">The shape of the CLIP, except for the vocabulary and the context length.</param>
    internal static void Write(string folder, int seed, ClipConfig shape)
    {
        const int symbols = 2 * 256 + 1;
        ClipConfig config = shape with { VocabularySize = symbols + 2, EndOfTextId = symbols + 1, ContextLength = 48 };
        using var clip = new RandomClip(config, seed);
        HuggingFaceFolder.Write(folder, clip, config);
        HuggingFaceFolder.WriteVocabulary(folder, ["e d</w>"]);
    }
}
