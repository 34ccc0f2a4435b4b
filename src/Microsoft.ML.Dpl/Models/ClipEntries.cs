using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The entries of a model zip that carry CLIP: Hugging Face's configuration and vocabulary, and the weights as they are computed
/// with.</summary>
internal sealed class ClipEntries : IDisposable
{
    internal const string Config = "clip.config.json",
        Preprocessor = "clip.preprocessor_config.json",
        Image = "clip.image.safetensors",
        Vocabulary = "clip.vocab.json",
        Merges = "clip.merges.txt",
        Text = "clip.text.safetensors";

    private readonly Lease<ImageWeights>? _image;
    private readonly Lease<TextWeights>? _text;

    private ClipEntries(ClipBackbone backbone, ModelContents contents, Device device)
    {
        if (contents is ModelContents.PromptsOnly or ModelContents.WithOnnx)
            return;
        byte[] config = ClipJson.Serialize(backbone.Config),
            preprocessor = ClipJson.Serialize(backbone.CreateImageProcessor().Config);
        _image = backbone.RentImageTower(device);
        Streams =
        [
            (Config, writer => writer.Write(config)),
            (Preprocessor, writer => writer.Write(preprocessor)),
            (Image, writer => FoldedWeights.Write(writer.BaseStream, _image.Value)),
        ];
        if (contents != ModelContents.WithClip)
            return;
        try
        {
            ClipVocabulary vocabulary = backbone.ReadVocabulary();
            _text = backbone.RentTextTower(CPU);
            Streams =
            [
                .. Streams,
                (Vocabulary, writer => vocabulary.WriteIds(writer.BaseStream)),
                (Merges, writer => vocabulary.WriteMerges(writer.BaseStream)),
                (Text, writer => FoldedWeights.Write(writer.BaseStream, _text.Value)),
            ];
        }
        catch
        {
            _image.Dispose();
            throw;
        }
    }

    /// <summary>The names of the entries that a zip of these contents has, in the order in which they are written.</summary>
    public static IReadOnlyList<string> NamesOf(ModelContents contents) =>
        contents switch
        {
            ModelContents.WithImageTower => [Config, Preprocessor, Image],
            ModelContents.WithClip => [Config, Preprocessor, Image, Vocabulary, Merges, Text],
            _ => [],
        };

    /// <summary>For <see cref="ModelZipFormat.Write"/>.</summary>
    public IReadOnlyList<(string Name, Action<BinaryWriter> Write)> Streams { get; } = [];

    /// <summary>What is to be written; the weights are rented until disposal, so what is missing is known before a byte is
    /// written.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="contents">What of it.</param>
    /// <param name="device">Where the image tower is in use.</param>
    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    public static ClipEntries From(ClipBackbone backbone, ModelContents contents, Device device) => new(backbone, contents, device);

    /// <summary>The CLIP of a model that is being loaded: of the zip where it lies there, else of this machine.</summary>
    /// <exception cref="FileNotFoundException">It is not in the zip, and was not found; the message says how to name its
    /// folder.</exception>
    /// <inheritdoc cref="Read"/>
    public static ClipBackbone ReadOrFind(ModelReader reader, BackboneReference reference, ModelContents contents) =>
        contents is ModelContents.PromptsOnly or ModelContents.WithOnnx
            ? BackboneLocator.Find(reference.Name, reference.Sha256, reference.Location, reference.Vocabulary)
            : Read(reader, reference, contents);

    /// <summary>Reads the CLIP into memory.</summary>
    /// <param name="reader">Our folder of the zip.</param>
    /// <param name="reference">How the model names it.</param>
    /// <param name="contents">What is there: the image tower or all of it.</param>
    /// <returns>Its weights go with the last share that <see cref="ClipBackbone.Hold"/> gives.</returns>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    public static ClipBackbone Read(ModelReader reader, BackboneReference reference, ModelContents contents)
    {
        ClipConfig config = ClipConfigReader.Parse(ModelZipFormat.ReadBytes(reader, Config), Config);
        ClipImageProcessorConfig preprocessor = ClipImageProcessorConfig.Parse(
            ModelZipFormat.ReadBytes(reader, Preprocessor),
            Preprocessor,
            config.ImageSize
        );
        ClipVocabulary? vocabulary =
            contents == ModelContents.WithClip
                ? ClipVocabulary.ReadHuggingFace(
                    new MemoryStream(ModelZipFormat.ReadBytes(reader, Vocabulary)),
                    Vocabulary,
                    new MemoryStream(ModelZipFormat.ReadBytes(reader, Merges)),
                    Merges
                )
                : null;
        ImageWeights image = ModelZipFormat.ReadStream(reader, Image, stream =>
            FoldedWeights.ReadImageTower(stream.BaseStream, Image, config)
        );
        try
        {
            (TextWeights, ClipVocabulary)? text = vocabulary is null
                ? null
                : (
                    ModelZipFormat.ReadStream(reader, Text, stream => FoldedWeights.ReadTextTower(stream.BaseStream, Text, config)),
                    vocabulary
                );
            return new ClipBackbone(reference.Name, config, new CarriedClip(reference.Sha256, preprocessor, image, text));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _image?.Dispose();
        _text?.Dispose();
    }
}
