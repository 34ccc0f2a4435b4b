using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>The JSON description of a saved embedding (clip-embedding.json).</summary>
/// <param name="Input">What is embedded.</param>
/// <param name="Backbone">The CLIP.</param>
/// <param name="Normalize">Whether vectors are normalised to length 1.</param>
/// <param name="CarriesClip">Whether the zip contains CLIP: the image tower for images, all of CLIP for texts.</param>
/// <param name="ImageFolder">The folder that relative image paths are resolved against; null for the current folder.</param>
/// <param name="ApplyExifOrientation">Whether images are rotated and mirrored according to their EXIF orientation.</param>
/// <param name="MaxImagePixels">The most pixels an image may have.</param>
/// <param name="RefuseLongTexts">Whether a text that is too long for CLIP is rejected rather than truncated.</param>
internal sealed record EmbeddingDescription(
    EmbeddedInput Input,
    BackboneReference Backbone,
    bool Normalize,
    bool CarriesClip = false,
    string? ImageFolder = null,
    bool ApplyExifOrientation = false,
    long MaxImagePixels = ImageDecoder.DefaultMaximumPixels,
    bool RefuseLongTexts = false
)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter<EmbeddedInput>(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    /// <summary>How images are read.</summary>
    [JsonIgnore]
    public ImageReading Reading => new(ImageFolder, MaxImagePixels, ApplyExifOrientation);

    /// <summary>Which parts of CLIP the zip contains; there are no contents with the text tower but without the image tower.</summary>
    [JsonIgnore]
    public ModelContents Contents =>
        !CarriesClip ? ModelContents.PromptsOnly
        : Input == EmbeddedInput.Image ? ModelContents.WithImageTower
        : ModelContents.WithClip;

    /// <summary>Whether the zip can be used without libtorch.</summary>
    [JsonIgnore]
    public LightScoring Light =>
        CarriesClip
            ? new(null, null)
            : new(
                $"The model zip of the embedding does not have CLIP's {(Input == EmbeddedInput.Image ? "image" : "text")} tower.",
                "where the embedding was made, save it with CarriesClip = true (the option CarryClip)"
            );

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="InvalidDataException">The text is not valid output of <see cref="ToJson"/>.</exception>
    public static EmbeddingDescription FromJson(string json)
    {
        EmbeddingDescription? description;
        try
        {
            description = JsonSerializer.Deserialize<EmbeddingDescription>(json, Json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NotSupportedException)
        {
            throw new InvalidDataException($"{ModelZipFormat.EmbeddingEntry} of the model zip cannot be read: {e.Message}", e);
        }
        if (description is not { Backbone: { Name: not null, Sha256: not null } })
            throw new InvalidDataException($"{ModelZipFormat.EmbeddingEntry} of the model zip lacks the backbone. Save the model again.");
        if (description.MaxImagePixels < 1 || description.MaxImagePixels > ImageDecoder.LargestMaximumPixels)
            throw new InvalidDataException(
                $"{ModelZipFormat.EmbeddingEntry} of the model zip limits images to {description.MaxImagePixels} pixels, but the limit "
                    + $"must be from 1 to {ImageDecoder.LargestMaximumPixels}. Save the model again."
            );
        return description;
    }
}

/// <summary>The kind of input that CLIP embeds.</summary>
internal enum EmbeddedInput
{
    /// <summary>Images, by the image tower.</summary>
    Image,

    /// <summary>Texts, by the text tower.</summary>
    Text,
}
