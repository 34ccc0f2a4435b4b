using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The JSON description of a saved model, dpl.json, for zips of all versions; property names are those of the file. Callers get a
/// <see cref="ModelInfo"/> instead, which also lists the zip's entries and hides the defaults of older formats.</summary>
/// <param name="Backbone">The CLIP that the model was trained with.</param>
/// <param name="Template">The text of a class, with {} for its name.</param>
/// <param name="TextLengths">Prompt length per text layer; for a mixture, the length of the candidate with the largest weight.</param>
/// <param name="ImageLengths">As <paramref name="TextLengths"/>, per image layer.</param>
/// <param name="ValidationAccuracy">Validation accuracy of the saved prompts, 0 to 1; null without validation rows.</param>
/// <param name="Search">History of the alphas; null if the lengths were given.</param>
/// <param name="ImageFolder">The folder that relative image paths are resolved against; null for the current folder.</param>
/// <param name="WasCancelled">Whether the fit was cancelled; false in zips of versions that did not store this.</param>
/// <param name="HasDiverged">Whether the fit diverged and this is the model from before that; false in zips of versions that did not store
/// this.</param>
/// <param name="Contents">Which parts of CLIP the zip contains; none in zips of versions without this option.</param>
/// <param name="ApplyExifOrientation">Whether images are rotated and mirrored according to their EXIF orientation; false in zips of
/// versions without this option.</param>
/// <param name="MaxImagePixels">The most pixels an image may have; null, meaning the default, in zips of versions that did not store
/// this.</param>
/// <param name="ClassNames">The class names, for readers of this JSON alone; loading takes them from the main stream. Null in zips of
/// versions that did not store them here.</param>
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
    /// <summary>The mixture of a model whose layers mix candidates; null, and omitted from the JSON, if the lengths are fixed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MixtureDescription? Mixture { get; init; }

    /// <summary>The finalists that were compared before training; null, and omitted from the JSON, if there were none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<Finalist>? Finalists { get; init; }

    /// <summary>The learned context; null, and omitted from the JSON, without one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptContext? Context { get; init; }

    /// <summary>Templates over which the class features are averaged; null, and omitted from the JSON, if only <see cref="Template"/> is
    /// used.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>How the prompts were built and trained; null, and omitted from the JSON, for the plain method.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptDesign? Design { get; init; }

    /// <summary>The minimum probability for a class to be predicted; null, and omitted from the JSON, if there is no minimum.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Threshold { get; init; }

    /// <summary>The zip entry with the graph for ONNX Runtime; null, and omitted from the JSON, if the zip has none.</summary>
    [JsonPropertyName("onnx"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Onnx { get; init; }

    /// <summary>The precision of the ONNX graph; omitted from the JSON if it is float32, or if the zip has no graph.</summary>
    [JsonPropertyName("onnxPrecision"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public OnnxPrecision OnnxPrecision { get; init; }

    /// <summary>The minimum capability that a reader of the zip needs.</summary>
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

    /// <summary>The text that CLIP reads for a class.</summary>
    [JsonIgnore]
    public TextTemplates Texts => new(Template, Templates);

    /// <summary>The prompt lengths of both branches.</summary>
    [JsonIgnore]
    public PromptConfiguration Configuration => new(TextLengths, ImageLengths);

    /// <summary>Layout of the learned context in a text; null without one.</summary>
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

    /// <summary>Creates a description with what follows from the prompts; the caller sets the rest.</summary>
    /// <param name="backbone">The CLIP that the prompts were trained with.</param>
    /// <param name="template">The text of a class, with {} for its name.</param>
    /// <param name="prompts">Prompts of fixed lengths, or a mixture.</param>
    public static StoredDescription From(BackboneReference backbone, string template, PromptRows prompts)
    {
        PromptConfiguration lengths = prompts.Configuration;
        return new StoredDescription(backbone, template, lengths.Text, lengths.Image, ValidationAccuracy: null, Search: null)
        {
            Mixture = prompts.Mixture is { } mixture ? new MixtureDescription(mixture.CandidateLengths) : null,
        };
    }

    /// <summary>A copy with other image reading options.</summary>
    public StoredDescription With(ImageReading reading) =>
        this with
        {
            ImageFolder = reading.BaseFolder,
            MaxImagePixels = reading.MaximumPixels,
            ApplyExifOrientation = reading.ApplyExifOrientation,
        };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="InvalidDataException">The text is not valid output of <see cref="ToJson"/>.</exception>
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
                $"{ModelZipFormat.DescriptionEntry} of the model zip has the unknown contents {(int)description.Contents}. Update the "
                    + "package, or save the model again."
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
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a context in an unknown place. Update the package, or save the "
                    + "model again."
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
                $"{ModelZipFormat.DescriptionEntry} of the model zip limits images to {pixels} pixels, but the limit must be from 1 to "
                    + $"{ImageDecoder.LargestMaximumPixels}. Save the model again."
            );
        if (description.Search is { } search && !IsComplete(search, description))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip holds an incomplete search. Save the model again."
            );
        if (description.Threshold is double threshold && !(threshold > 0 && threshold <= 1))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has a threshold of {threshold}, but it must be above 0 and at most 1. "
                    + "Save the model again."
            );
        if (description.Onnx is not (null or OnnxEntries.Graph))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip names an unknown entry for its ONNX graph. Update the package, or "
                    + "save the model again."
            );
        if (!Enum.IsDefined(description.OnnxPrecision))
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip names an unknown precision for its ONNX graph. Update the package, or "
                    + "save the model again."
            );
        return description is { Onnx: not null, Contents: ModelContents.PromptsOnly }
            ? description with
            {
                Contents = ModelContents.WithOnnx,
            }
            : description;
    }

    /// <summary>A copy for a zip with these contents and, if it has an ONNX graph, this precision.</summary>
    public StoredDescription With(ModelContents contents, OnnxPrecision precision) =>
        this with
        {
            Contents = contents,
            OnnxPrecision = contents == ModelContents.WithOnnx ? precision : default,
            Onnx = contents == ModelContents.WithOnnx ? OnnxEntries.Graph : null,
        };

    /// <summary>Checks the number of layers against the backbone, whose layers the JSON does not state.</summary>
    /// <exception cref="InvalidDataException">A branch has a different number of layers.</exception>
    public void RequireLayers(int text, int image)
    {
        if (TextLengths.Count != text || ImageLengths.Count != image)
            throw new InvalidDataException(
                $"{ModelZipFormat.DescriptionEntry} of the model zip has lengths for {TextLengths.Count} text and {ImageLengths.Count} "
                    + $"image layers, but the backbone has {text} and {image}. Save the model again."
            );
    }

    /// <summary>Maps the contents to the names used in zips, independently of the names of the enumeration's members.</summary>
    private sealed class ContentsConverter : JsonConverter<ModelContents>
    {
        private static readonly Dictionary<ModelContents, string> Names = new()
        {
            [ModelContents.PromptsOnly] = "none",
            [ModelContents.WithImageTower] = "imageTower",
            [ModelContents.WithClip] = "clip",
            // The zip has no part of CLIP: a reader that does not know ONNX graphs then looks for CLIP elsewhere and predicts the same.
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
            throw new JsonException("It does not say which part of CLIP the zip carries: none, imageTower or clip.");
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

/// <summary>The part of a saved mixture in the JSON description; its weights are stored with the prompts.</summary>
/// <param name="CandidateLengths">Prompt rows of each candidate, increasing from 0.</param>
internal sealed record MixtureDescription(IReadOnlyList<int> CandidateLengths)
{
    /// <param name="lengths">The prompt lengths of all layers.</param>
    /// <exception cref="InvalidDataException">The candidates are invalid, or a length is not one of them.</exception>
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
                    $"{ModelZipFormat.DescriptionEntry} of the model zip holds a prompt length of {length}, which is not a candidate of "
                        + $"its mixture: {string.Join(' ', CandidateLengths!)}. Save the model again."
                );
    }
}

/// <summary>How a saved model identifies its CLIP.</summary>
/// <param name="Name">Display name.</param>
/// <param name="Sha256">SHA-256 of the weights.</param>
/// <param name="Location">Where the CLIP was stored; only a hint.</param>
/// <param name="Vocabulary">Where its vocabulary was stored if not in the same folder; only a hint.</param>
internal sealed record BackboneReference(string Name, string Sha256, string? Location, string? Vocabulary = null)
{
    /// <summary>Creates the reference to a CLIP, hashing its weights if that has not been done yet.</summary>
    /// <exception cref="IOException">A weights file is missing or has changed.</exception>
    public static BackboneReference To(ClipBackbone backbone) =>
        new(
            backbone.Name,
            backbone.Sha256,
            backbone.Location,
            backbone.Files is { IsOpenAILayout: true } files ? files.VocabularyPath : null
        );
}
