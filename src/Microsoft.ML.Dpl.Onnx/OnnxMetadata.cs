using System.Globalization;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>The metadata needed to use a graph: the meaning of its outputs, and the preprocessing of images or texts.</summary>
internal static class OnnxMetadata
{
    private const string Padding = "; a shorter side is padded with 0 at both ends, an odd pixel more at the far end";

    private static readonly JsonSerializerOptions Legible = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The metadata of a classifier, in the order in which it is written. Lists are JSON.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Create(DplTransformer transformer, DplOnnx.Form form)
    {
        return
        [
            .. Form(form),
            new("classes", JsonSerializer.Serialize(transformer.ClassNames, Legible)),
            .. Images(transformer.Preprocessing, transformer.ApplyExifOrientation, transformer.MaxImagePixels),
            new("template", transformer.Template),
            new("configuration", transformer.Configuration.ToString()),
            .. transformer.Mixture is { } mixture ? new[] { Mixture(mixture) } : [],
            .. transformer.Context is { } context ? new[] { Context(context) } : [],
            .. transformer.Templates is { } templates
                ? new[] { KeyValuePair.Create("templates", JsonSerializer.Serialize(templates, Legible)) }
                : [],
            .. transformer.Design is { } design ? new[] { KeyValuePair.Create("design", design.ToString()) } : [],
            .. transformer.Threshold is double threshold
                ? new[] { KeyValuePair.Create("threshold", threshold.ToString(CultureInfo.InvariantCulture)) }
                : [],
            .. Origin(transformer.TrainedOn),
        ];
    }

    /// <summary>The metadata of an image embedding.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Create(
        ClipEmbeddingTransformer transformer,
        ClipImageProcessorConfig images,
        DplOnnx.Form form
    )
    {
        EmbeddingDescription description = transformer.Description;
        return
        [
            .. Form(form),
            new("normalized", description.Normalize ? "true" : "false"),
            .. Images(images, description.ApplyExifOrientation, description.MaxImagePixels),
            .. Origin(description.Backbone),
        ];
    }

    /// <summary>The metadata of a text embedding.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Create(
        ClipEmbeddingTransformer transformer,
        ClipConfig config,
        ClipTokenizer tokenizer,
        OnnxPrecision precision
    ) =>
        [
            new(
                "input",
                "tokens: int64 [batch, length], length at most context_length; texts as below, zeros behind the end of shorter ones"
            ),
            Precision(precision),
            new("normalized", transformer.IsNormalized ? "true" : "false"),
            new("context_length", Text(config.ContextLength)),
            new("start_of_text", Text(tokenizer.StartId)),
            new("end_of_text", Text(tokenizer.EndId)),
            new(
                "tokens",
                "start_of_text, CLIP's byte-pair tokens of the text (HTML entities resolved, NFC, white space collapsed, lower case; "
                    + "vocab.json and merges.txt of the CLIP), at most context_length - 2 of them, end_of_text"
            ),
            .. Origin(transformer.Description.Backbone),
        ];

    private static IEnumerable<KeyValuePair<string, string>> Form(DplOnnx.Form form) =>
        [
            new(
                "input",
                form.Input == OnnxInput.Image
                    ? "image: uint8 [height, width, 3], red, green, blue; the model prepares it"
                    : "pixels: float32 [batch, 3, image_size, image_size]; prepare images as below"
            ),
            Precision(form.Precision),
        ];

    private static KeyValuePair<string, string> Precision(OnnxPrecision precision) =>
        new(
            "precision",
            precision switch
            {
                OnnxPrecision.Float16 => "float16: weights; products are of float32",
                OnnxPrecision.Int8 => "int8: weights of the layers, one scale for each output, and their inputs, one scale for each row",
                _ => "float32",
            }
        );

    private static IEnumerable<KeyValuePair<string, string>> Images(
        ClipImageProcessorConfig images,
        bool applyExifOrientation,
        long maxImagePixels
    ) =>
        [
            new("image_size", Text(images.CropSize)),
            new("resize_short_side", Text(images.ShortSide)),
            new(
                "resize",
                "bicubic with antialiasing, as Pillow's BICUBIC, rounded to bytes: the short side to resize_short_side, the long side "
                    + "in proportion, rounded down"
            ),
            new(
                "crop",
                "the middle image_size x image_size pixels, which begin at (side - image_size) / 2, halves going to the even "
                    + $"number{(images.ShortSide < images.CropSize ? Padding : "")}"
            ),
            new("channels", "red, green, blue, each row by row: (value / 255 - mean) / std"),
            new("mean", JsonSerializer.Serialize(images.Mean)),
            new("std", JsonSerializer.Serialize(images.Deviation)),
            new("apply_exif_orientation", applyExifOrientation ? "true" : "false"),
            new("max_image_pixels", maxImagePixels.ToString(CultureInfo.InvariantCulture)),
        ];

    private static IEnumerable<KeyValuePair<string, string>> Origin(BackboneReference backbone) =>
        [
            new("backbone", backbone.Name),
            new("backbone_sha256", backbone.Sha256),
            new("library", $"{LibraryVersion.Name} {LibraryVersion.Number}"),
        ];

    private static KeyValuePair<string, string> Mixture(TrainedMixture mixture) =>
        new(
            "mixture",
            JsonSerializer.Serialize(
                new
                {
                    candidates = mixture.CandidateLengths,
                    text_weights = mixture.TextWeights,
                    image_weights = mixture.ImageWeights,
                }
            )
        );

    private static KeyValuePair<string, string> Context(PromptContext context) =>
        new(
            "context",
            JsonSerializer.Serialize(
                new
                {
                    length = context.Length,
                    position = context.Position.ToString().ToLowerInvariant(),
                    class_specific = context.ClassSpecific,
                    words = context.Words,
                },
                Legible
            )
        );

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The producer of a model.</summary>
internal static class LibraryVersion
{
    public const string Name = "Microsoft.ML.Dpl";

    /// <summary>The package's version, without the commit.</summary>
    public static string Number { get; } =
        typeof(LibraryVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
