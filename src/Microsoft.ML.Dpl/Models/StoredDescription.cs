using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The readable part of a saved model, dpl.json, as it stands in zips of all versions: its names are the file's. What a caller
/// reads of it is a <see cref="ModelInfo"/>, which has the zip's entries too and no defaults of older formats.</summary>
/// <param name="Backbone">The CLIP it was trained on.</param>
/// <param name="Template">A class's text, with {} for its name.</param>
/// <param name="TextLengths">Prompt length per text layer; of a mixture, that of the largest weight.</param>
/// <param name="ImageLengths">The same per image layer.</param>
/// <param name="ValidationAccuracy">Of the values kept, 0 to 1; null without validation rows.</param>
/// <param name="Search">The alphas' history; null where the lengths were given.</param>
/// <param name="ImageFolder">Where relative paths of images start; null: the current folder.</param>
/// <param name="WasCancelled">Whether the fit was cut short; false in zips from before it was kept.</param>
/// <param name="HasDiverged">Whether the fit's numbers went wrong and this is what it had before; false in zips from before it was
/// kept.</param>
/// <param name="Contents">What of CLIP lies in the zip; nothing in zips from before there was a choice.</param>
/// <param name="ApplyExifOrientation">Whether images are turned and mirrored as their files ask; false in zips from before there was a
/// choice.</param>
/// <param name="MaxImagePixels">The most pixels an image may have; null in zips from before it was kept: the default.</param>
/// <param name="ClassNames">The classes, for whoever reads this text alone; the main stream has them for loading. Null in zips from before
/// they were kept here.</param>
internal sealed record StoredDescription(
    BackboneReference Backbone,
    string Template,
    IReadOnlyList<int> TextLengths,
    IReadOnlyList<int> ImageLengths,
    double? ValidationAccuracy,
    [property: JsonConverter(typeof(SearchReportConverter))] SearchReport? Search,
    string? ImageFolder = null,
    bool WasCancelled = false,
    bool HasDiverged = false,
    [property: JsonPropertyName("carries")] ModelContents Contents = ModelContents.PromptsOnly,
    bool ApplyExifOrientation = false,
    long? MaxImagePixels = null,
    IReadOnlyList<string>? ClassNames = null
)
{
    /// <summary>Of a model whose layers mix candidates; null, and left out of the text, where the lengths are fixed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MixtureDescription? Mixture { get; init; }

    /// <summary>What was compared before the training; null, and left out of the text, where nothing was.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<Finalist>? Finalists { get; init; }

    /// <summary>Of a model with a learned context; null, and left out of the text, without one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptContext? Context { get; init; }

    /// <summary>Templates whose mean the class features are; null, and left out of the text, where it is <see cref="Template"/>
    /// alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>What the prompts were made with; null, and left out of the text, where it is the plain method.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptDesign? Design { get; init; }

    /// <summary>The least probability of a class that is predicted; null, and left out of the text, where any will do.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Threshold { get; init; }

    /// <summary>The entry with the graph for ONNX Runtime; null, and left out of the text, where the zip has none.</summary>
    [JsonPropertyName("onnx"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Onnx { get; init; }

    /// <summary>What that graph computes with; left out of the text where it is float32, or where the zip has none.</summary>
    [JsonPropertyName("onnxPrecision"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public OnnxPrecision OnnxPrecision { get; init; }

    /// <summary>What a reader of the zip must know.</summary>
    [JsonIgnore]
    public RequiredReader Required =>
        Threshold is not null ? RequiredReader.KnowsThreshold
        : Context is not null || Templates is not null ? RequiredReader.KnowsTextDesigns
        : Mixture is not null ? RequiredReader.MixesCandidates
        : ApplyExifOrientation ? RequiredReader.TurnsImages
        : RequiredReader.Any;

    /// <summary>Whether the zip can be scored without libtorch.</summary>
    [JsonIgnore]
    public LightScoring Light =>
        Contents != ModelContents.PromptsOnly
            ? new(null, null)
            : new(
                "The model zip has neither CLIP's image tower nor a graph for ONNX Runtime.",
                "where the model was trained, save it with Contents = ModelContents.WithImageTower or Contents = "
                    + "ModelContents.WithOnnx (dpl fit --contents image-tower, the default, or --contents onnx)"
            );

    /// <summary>What CLIP reads of a class.</summary>
    [JsonIgnore]
    public TextTemplates Texts => new(Template, Templates);

    /// <summary>The lengths of both branches as one value.</summary>
    [JsonIgnore]
    public PromptConfiguration Configuration => new(TextLengths, ImageLengths);

    /// <summary>Where the context stands in a text; null without one.</summary>
    [JsonIgnore]
    public ContextLayout? ContextLayout => Context is null ? null : new(Context.Length!.Value, Context.Position, Context.ClassSpecific);

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Converters =
        {
            new ContentsConverter(),
            new JsonStringEnumConverter<ContextPosition>(JsonNamingPolicy.CamelCase),
            new JsonStringEnumConverter<OnnxPrecision>(JsonNamingPolicy.CamelCase),
        },
    };

    /// <summary>How the model's images are read.</summary>
    [JsonIgnore]
    public ImageReading Reading => new(ImageFolder, MaxImagePixels ?? ImageDecoder.DefaultMaximumPixels, ApplyExifOrientation);

    /// <summary>What follows from the prompts; the rest is still to be said.</summary>
    /// <param name="backbone">The CLIP they were trained on.</param>
    /// <param name="template">A class's text, with {} for its name.</param>
    /// <param name="prompts">Of fixed lengths or a mixture.</param>
    public static StoredDescription From(BackboneReference backbone, string template, PromptRows prompts)
    {
        PromptConfiguration lengths = prompts.Configuration;
        return new StoredDescription(backbone, template, lengths.Text, lengths.Image, ValidationAccuracy: null, Search: null)
        {
            Mixture = prompts.Mixture is { } mixture ? new MixtureDescription(mixture.CandidateLengths) : null,
        };
    }

    /// <summary>The same with images read that way.</summary>
    public StoredDescription With(ImageReading reading) =>
        this with
        {
            ImageFolder = reading.BaseFolder,
            MaxImagePixels = reading.MaximumPixels,
            ApplyExifOrientation = reading.ApplyExifOrientation,
        };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="InvalidDataException">The text is not what <see cref="ToJson"/> writes.</exception>
    public static StoredDescription FromJson(string json)
    {
        StoredDescription? description;
        try
        {
            description = JsonSerializer.Deserialize<StoredDescription>(json, Json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NotSupportedException)
        {
            throw new InvalidDataException($"{ModelZipFormat.DescriptionEntry} of the model zip cannot be read: {e.Message}", e);
        }
        if (
            description
            is not { Backbone: { Name: not null, Sha256: not null }, TextLengths: not null, ImageLengths: not null, Template: not null }
        )
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip lacks the backbone, the template or the lengths. Save the model again."
            );
        if (!Enum.IsDefined(description.Contents))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip says that it carries {(int)description.Contents}, which is not known. "
                    + "Update the package, or save the model again."
            );
        foreach (int length in description.TextLengths.Concat(description.ImageLengths))
            if (length is < 0 or > LayerPrompt.MaximumLength)
                throw new InvalidDataException(
                    $"{ModelZipFormat.DescriptionEntry} of the model zip holds a prompt length of {length}. Save the model again."
                );
        if (description.TextLengths.Count == 0 || description.ImageLengths.Count == 0)
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has no lengths for a branch. Save the model again."
            );
        description.Mixture?.Require(description.TextLengths.Concat(description.ImageLengths));
        if (!ClassTemplate.IsValid(description.Template))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a template that does not hold {{}} once. Save the model again."
            );
        if (description.Context is { } context && (context.Length is not (>= 1 and <= LayerPrompt.MaximumLength)))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a context of {context.Length ?? 0} vectors. Save the model again."
            );
        if (description.Context is { } placed && !Enum.IsDefined(placed.Position))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a context in an unknown place. Update the package, or save the model "
                    + "again."
            );
        if (description.Templates is { } templates && (templates.Count == 0 || !templates.All(ClassTemplate.IsValid)))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a template that does not hold {{}} once. Save the model again."
            );
        if (description.Design is { } design && (design.Prompts is null || design.Regularizers is null))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip holds an incomplete design. Save the model again."
            );
        if (description.MaxImagePixels is long pixels && (pixels < 1 || pixels > ImageDecoder.LargestMaximumPixels))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip allows images of {pixels} pixels, where 1 to "
                    + $"{ImageDecoder.LargestMaximumPixels} are possible. Save the model again."
            );
        if (description.Search is { } search && !IsComplete(search, description))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip holds an incomplete search. Save the model again."
            );
        if (description.Threshold is double threshold && !(threshold > 0 && threshold <= 1))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a threshold of {threshold}, where above 0 to 1 is possible. Save the "
                    + "model again."
            );
        if (description.Onnx is not (null or OnnxEntries.Graph))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip names an unknown entry for its ONNX graph. Update the package, or save the "
                    + "model again."
            );
        if (!Enum.IsDefined(description.OnnxPrecision))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip names an unknown precision for its ONNX graph. Update the package, or save "
                    + "the model again."
            );
        return description is { Onnx: not null, Contents: ModelContents.PromptsOnly }
            ? description with
            {
                Contents = ModelContents.WithOnnx,
            }
            : description;
    }

    /// <summary>The same for a zip that holds this.</summary>
    public StoredDescription With(ModelContents contents, OnnxPrecision precision) =>
        this with
        {
            Contents = contents,
            OnnxPrecision = contents == ModelContents.WithOnnx ? precision : default,
            Onnx = contents == ModelContents.WithOnnx ? OnnxEntries.Graph : null,
        };

    /// <summary>Checks the layers against a backbone, which the text does not contain.</summary>
    /// <exception cref="InvalidDataException">A branch has another number of layers.</exception>
    public void RequireLayers(int text, int image)
    {
        if (TextLengths.Count != text || ImageLengths.Count != image)
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has lengths for {TextLengths.Count} text and {ImageLengths.Count} "
                    + $"image layers, but the backbone has {text} and {image}. Save the model again."
            );
    }

    /// <summary>The names that zips have had since there was a choice, whatever the enumeration's are called.</summary>
    private sealed class ContentsConverter : JsonConverter<ModelContents>
    {
        private static readonly Dictionary<ModelContents, string> Names = new()
        {
            [ModelContents.PromptsOnly] = "none",
            [ModelContents.WithImageTower] = "imageTower",
            [ModelContents.WithClip] = "clip",
            // Nothing of CLIP: a reader that knows no graphs looks for it and predicts the same.
            [ModelContents.WithOnnx] = "none",
        };

        public override ModelContents Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int number))
                return (ModelContents)number;
            string? name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            foreach (var (contents, known) in Names)
            {
                if (string.Equals(name, known, StringComparison.OrdinalIgnoreCase))
                    return contents;
            }
            throw new JsonException("It does not say what of CLIP the zip carries: none, imageTower or clip.");
        }

        public override void Write(Utf8JsonWriter writer, ModelContents value, JsonSerializerOptions options) =>
            writer.WriteStringValue(Names[value]);
    }

    private static bool IsComplete(SearchReport search, StoredDescription description) =>
        search is { CandidateLengths.Count: > 0, Epochs.Count: > 0 }
        && search.Epochs.All(epoch =>
            IsComplete(epoch?.TextAlphas, description.TextLengths.Count, search.CandidateLengths.Count)
            && IsComplete(epoch?.ImageAlphas, description.ImageLengths.Count, search.CandidateLengths.Count)
        );

    private static bool IsComplete(IReadOnlyList<IReadOnlyList<float>>? alphas, int layers, int candidates) =>
        alphas?.Count == layers && alphas.All(layer => layer?.Count == candidates);
}

/// <summary>What the readable part of a saved mixture says of it; the weights lie beside the prompts.</summary>
/// <param name="CandidateLengths">Prompt rows of each candidate, increasing from 0.</param>
internal sealed record MixtureDescription(IReadOnlyList<int> CandidateLengths)
{
    /// <param name="lengths">Of all layers.</param>
    /// <exception cref="InvalidDataException">These are no candidates, or a length is none of them.</exception>
    public void Require(IEnumerable<int> lengths)
    {
        try
        {
            TrainedMixture.CheckCandidates(CandidateLengths ?? []);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{ModelZipFormat.DescriptionEntry} of the model zip: {e.Message} Save the model again.", e);
        }
        foreach (int length in lengths)
            if (!CandidateLengths!.Contains(length))
                throw new InvalidDataException(
                    $"{ModelZipFormat.DescriptionEntry} of the model zip holds a context length of {length}, which is no candidate of its "
                        + $"mixture: {string.Join(' ', CandidateLengths!)}. Save the model again."
                );
    }
}

/// <summary>How a saved model names its CLIP.</summary>
/// <param name="Name">For people.</param>
/// <param name="Sha256">Of the weights.</param>
/// <param name="Location">Where it lay; a hint.</param>
/// <param name="Vocabulary">Where its vocabulary lay if not in the same folder; a hint.</param>
internal sealed record BackboneReference(string Name, string Sha256, string? Location, string? Vocabulary = null)
{
    /// <summary>Names a CLIP; its weights are hashed where they were not yet.</summary>
    /// <exception cref="IOException">A weights file is gone or has changed.</exception>
    public static BackboneReference To(ClipBackbone backbone) =>
        new(
            backbone.Name,
            backbone.Sha256,
            backbone.Location,
            backbone.Files is { IsOpenAILayout: true } files ? files.VocabularyPath : null
        );
}
