using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Microsoft.ML.Dpl.Hub;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The parameters of a CLIP's image preprocessing.</summary>
public sealed record ClipImageProcessorConfig
{
    [SetsRequiredMembers]
    internal ClipImageProcessorConfig(int shortSide, int cropSize, float[] mean, float[] deviation) =>
        (ShortSide, CropSize, Mean, Deviation) = (shortSide, cropSize, mean, deviation);

    /// <summary>Length of the shorter side after resizing in pixels, at least 1.</summary>
    public required int ShortSide { get; init; }

    /// <summary>Side of the square centre crop in pixels, which is the image tower's input size.</summary>
    public required int CropSize { get; init; }

    /// <summary>[3] means of red, green and blue, for values from 0 to 1.</summary>
    public required float[] Mean { get; init; }

    /// <summary>[3] standard deviations of red, green and blue, above 0.</summary>
    public required float[] Deviation { get; init; }

    /// <summary>The maximum ratio of the resized shorter side to the crop; a larger one would only give huge images of which the crop is a
    /// tiny part.</summary>
    private const int LargestSide = 16;

    private const int Bicubic = 3,
        LongestShown = 40;

    /// <summary>The file in which Hugging Face's transformers stores only the preprocessing, and the one of which the preprocessing is a
    /// part.</summary>
    internal const string AloneFile = "preprocessor_config.json",
        PartFile = "processor_config.json";

    private static readonly string[] Parts = ["image_processor", "feature_extractor"];

    /// <summary>The preprocessing file of a folder; null if there is none. As in transformers, the part in processor_config.json takes
    /// precedence.</summary>
    /// <param name="folder">An existing folder.</param>
    internal static string? FileIn(string folder)
    {
        string part = Path.Combine(folder, PartFile),
            alone = Path.Combine(folder, AloneFile);
        return File.Exists(part) && HasPart(ModelFile.ReadAll(part)) ? part
            : File.Exists(alone) ? alone
            : null;
    }

    /// <summary>The preprocessing that OpenAI's weights were trained with.</summary>
    internal static ClipImageProcessorConfig Default(int imageSize) =>
        new(imageSize, imageSize, [0.48145466f, 0.4578275f, 0.40821073f], [0.26862954f, 0.26130258f, 0.27577711f]);

    /// <summary>Reads <c>preprocessor_config.json</c>, or the image part of <c>processor_config.json</c>; missing fields have their values
    /// in <see cref="Default"/>.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is malformed, or specifies preprocessing other than CLIP's.</exception>
    internal static ClipImageProcessorConfig Read(string path, int imageSize)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"Image processor configuration '{path}' does not exist.", path);
        return Parse(ModelFile.ReadAll(path), path, imageSize);
    }

    /// <param name="json">The text of the file in UTF-8.</param>
    /// <param name="path">The file, for error messages.</param>
    /// <param name="imageSize">The side of the image tower's input in pixels.</param>
    /// <exception cref="InvalidDataException">For the same reasons as in <see cref="Read"/>.</exception>
    internal static ClipImageProcessorConfig Parse(ReadOnlyMemory<byte> json, string path, int imageSize)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Image processor configuration '{path}' is not JSON: {e.Message}", e);
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"Image processor configuration '{path}' is not a JSON object.");
            try
            {
                return new Reader(path, Part(document.RootElement) ?? document.RootElement).Read(imageSize);
            }
            catch (InvalidOperationException e)
            {
                // The JSON reader reports invalid UTF-8 with this exception.
                throw new InvalidDataException($"Image processor configuration '{path}' is not in UTF-8: {e.Message}", e);
            }
        }
    }

    // Invalid JSON counts as having the part, so that it is reported and not ignored.
    private static bool HasPart(ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return Part(document.RootElement) is not null;
        }
        catch (JsonException)
        {
            return true;
        }
    }

    private static JsonElement? Part(JsonElement root)
    {
        if (root.ValueKind == JsonValueKind.Object)
            foreach (string name in Parts)
                if (root.TryGetProperty(name, out JsonElement part) && part.ValueKind == JsonValueKind.Object)
                    return part;
        return null;
    }

    /// <summary>Whether means and deviations are plausible for values from 0 to 1; others would make all images equal or
    /// infinite.</summary>
    internal static bool AreUsable(float[] mean, float[] deviation) =>
        mean.All(m => m is >= -1000 and <= 1000) && deviation.All(d => d is >= 1e-6f and <= 1e6f);

    /// <summary>Reads the fields of one file; error messages name the file and the field.</summary>
    private readonly struct Reader(string path, JsonElement fields)
    {
        public ClipImageProcessorConfig Read(int imageSize)
        {
            foreach (string step in (string[])["do_resize", "do_center_crop", "do_rescale"])
                if (!Flag(step))
                    throw Refuse($"{step} is false; images are always resized, cropped and scaled to 0…1");
            if (
                Field("resample") is { } resample
                && !(resample.ValueKind == JsonValueKind.Number && resample.TryGetInt32(out int filter) && filter == Bicubic)
            )
                throw Refuse($"resample is {Shown(resample)}; only 3 (bicubic) is supported");
            if (
                Field("rescale_factor") is { } factor
                && !(factor.ValueKind == JsonValueKind.Number && Math.Abs(factor.GetDouble() * 255 - 1) < 1e-4)
            )
                throw Refuse($"rescale_factor is {Shown(factor)}; only 1/255 is supported");

            int crop = Side("crop_size", imageSize, "height", "width");
            if (crop != imageSize)
                throw Refuse($"crop_size is {crop}, but the model's image size is {imageSize}");
            int shortSide = Side("size", imageSize, "shortest_edge", "shortest_edge");
            if (shortSide > (long)LargestSide * crop)
                throw Refuse($"size is {shortSide}, more than {LargestSide} times the crop_size {crop}");
            ClipImageProcessorConfig standard = Default(imageSize);
            if (!Flag("do_normalize"))
                return new(shortSide, crop, [0, 0, 0], [1, 1, 1]);

            float[] mean = Channels("image_mean", standard.Mean),
                deviation = Channels("image_std", standard.Deviation);
            if (!deviation.All(d => d > 0))
                throw Refuse("image_std has a value that is not positive");
            return AreUsable(mean, deviation)
                ? new(shortSide, crop, mean, deviation)
                : throw Refuse("image_mean or image_std has a value far from those of pixels from 0 to 1");
        }

        private JsonElement? Field(string name) =>
            fields.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

        private bool Flag(string name) =>
            Field(name) switch
            {
                null or { ValueKind: JsonValueKind.True } => true,
                { ValueKind: JsonValueKind.False } => false,
                { } other => throw Refuse($"{name} is {Shown(other)}, not true or false"),
            };

        /// <summary>Reads an integer (the older form), or an object whose two members are the same integer.</summary>
        private int Side(string name, int absent, string first, string second)
        {
            if (Field(name) is not { } value)
                return absent;
            if (Positive(value) is { } side)
                return side;
            if (
                value.ValueKind == JsonValueKind.Object
                && value.TryGetProperty(first, out JsonElement a)
                && value.TryGetProperty(second, out JsonElement b)
                && Positive(a) is { } one
                && Positive(b) == one
            )
                return one;
            throw Refuse(
                $"{name} is {Shown(value)}; a positive integer or "
                    + $"{(first == second ? $"an object with {first}" : $"an object with equal {first} and {second}")} is expected"
            );
        }

        private static int? Positive(JsonElement value) =>
            value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number > 0 ? number : null;

        private float[] Channels(string name, float[] absent)
        {
            if (Field(name) is not { } value)
                return absent;
            if (
                value.ValueKind == JsonValueKind.Array
                && value.GetArrayLength() == 3
                && value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.Number)
            )
                return [.. value.EnumerateArray().Select(v => v.GetSingle())];
            throw Refuse($"{name} is {Shown(value)}; three numbers are expected");
        }

        private static string Shown(JsonElement value)
        {
            string text = value.GetRawText();
            return text.Length <= LongestShown ? text : $"{text[..LongestShown]}…";
        }

        private InvalidDataException Refuse(string what) => new($"Image processor configuration '{path}': {what}.");
    }
}
