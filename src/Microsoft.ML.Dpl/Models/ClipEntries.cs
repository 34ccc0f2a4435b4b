using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The entries of a model zip that contain CLIP: configuration and vocabulary in Hugging Face's formats, and the weights in the
/// form used for computing.</summary>
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

    /// <summary>The names of the entries in a zip with these contents, in the order in which they are written.</summary>
    public static IReadOnlyList<string> NamesOf(ModelContents contents) =>
        contents switch
        {
            ModelContents.WithImageTower => [Config, Preprocessor, Image],
            ModelContents.WithClip => [Config, Preprocessor, Image, Vocabulary, Merges, Text],
            _ => [],
        };

    /// <summary>The entries for <see cref="ModelZipFormat.Write"/>.</summary>
    public IReadOnlyList<(string Name, Action<BinaryWriter> Write)> Streams { get; } = [];

    /// <summary>Prepares the entries to write. The weights are rented until disposal, so anything missing is reported before the first byte
    /// is written.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="contents">Which parts of it to write.</param>
    /// <param name="device">The device on which the image tower is in use.</param>
    /// <exception cref="IOException">The weights are missing or have changed.</exception>
    public static ClipEntries From(ClipBackbone backbone, ModelContents contents, Device device) => new(backbone, contents, device);

    /// <summary>The CLIP of a model that is being loaded: from the zip if it is there, otherwise from this machine.</summary>
    /// <exception cref="FileNotFoundException">The CLIP is neither in the zip nor found on this machine; the message says how to specify
    /// its folder.</exception>
    /// <inheritdoc cref="Read"/>
    public static ClipBackbone ReadOrFind(ModelReader reader, BackboneReference reference, ModelContents contents) =>
        contents is ModelContents.PromptsOnly or ModelContents.WithOnnx
            ? BackboneLocator.Find(reference.Name, reference.Sha256, reference.Location, reference.Vocabulary)
            : Read(reader, reference, contents);

    /// <summary>Reads the CLIP into memory.</summary>
    /// <param name="reader">The model's folder in the zip.</param>
    /// <param name="reference">How the model identifies its CLIP.</param>
    /// <param name="contents">What the zip contains: the image tower, or all of CLIP.</param>
    /// <returns>The CLIP; its weights are disposed with the last reference obtained from <see cref="ClipBackbone.Hold"/>.</returns>
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
