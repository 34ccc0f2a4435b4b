using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl;

// The names used in the files, and the reader.
public sealed partial record ExportedPrompts
{
    private const string TextPrefix = "text.",
        ImagePrefix = "image.",
        TextMixturePrefix = "text_mixture.",
        ImageMixturePrefix = "image_mixture.",
        TextWeightsPrefix = "text_weights.",
        ImageWeightsPrefix = "image_weights.",
        OptionalPrefix = "prompts.",
        TaskResidualName = "task_residual",
        ClassFeaturesName = "class_features";
    private const string ConfigurationName = "configuration",
        MixtureName = "mixture",
        ClassesName = "classes",
        ContextName = "context",
        TemplatesName = "templates",
        TemplateName = "template",
        BackboneNameName = "backbone",
        BackboneSha256Name = "backbone_sha256",
        LogitScaleName = "logit_scale",
        ApplyExifOrientationName = "apply_exif_orientation",
        MaxImagePixelsName = "max_image_pixels",
        ThresholdName = "threshold";
    private const string LabelName = "label",
        TextLabel = "text",
        KeyLabel = "key";
    private const int MostLayers = 1000;

    // Keeps class names in non-Latin scripts readable. Relaxed escaping is safe here because the output is never embedded in HTML.
    private static readonly JsonSerializerOptions Readable = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter<ContextPosition>(JsonNamingPolicy.CamelCase) },
    };

    private sealed class Reader(ITensorSource source)
    {
        public ExportedPrompts Read()
        {
            ExportedPrompts prompts = source.Metadata.TryGetValue(MixtureName, out string? candidates) ? Mixed(candidates) : Fixed();
            prompts = prompts with
            {
                ClassNames = source.Metadata.TryGetValue(ClassesName, out string? classes)
                    ? Understood(ClassesName, () => NamesIn(classes))
                    : null,
                Context = source.Entries.ContainsKey(ContextName) ? Matrix(ContextName) : null,
                ContextDesign = source.Metadata.TryGetValue(ContextName, out string? context)
                    ? Understood(ContextName, () => JsonSerializer.Deserialize<PromptContext>(context, Readable))
                    : null,
                TaskResidual = source.Entries.ContainsKey(TaskResidualName) ? Matrix(TaskResidualName) : null,
                Templates = source.Metadata.TryGetValue(TemplatesName, out string? templates)
                    ? Understood(TemplatesName, () => JsonSerializer.Deserialize<string[]>(templates))
                    : null,
                BackboneName = source.Metadata.GetValueOrDefault(BackboneNameName),
                BackboneSha256 = source.Metadata.GetValueOrDefault(BackboneSha256Name),
                ClassFeatures = source.Entries.ContainsKey(ClassFeaturesName) ? Matrix(ClassFeaturesName) : null,
                LogitScale = source.Metadata.TryGetValue(LogitScaleName, out string? scale)
                    ? Understood<double>(LogitScaleName, () => ScaleIn(scale))
                    : null,
                ApplyExifOrientation =
                    source.Metadata.TryGetValue(ApplyExifOrientationName, out string? applies)
                    && Understood(ApplyExifOrientationName, () => bool.Parse(applies)),
                MaxImagePixels = source.Metadata.TryGetValue(MaxImagePixelsName, out string? pixels)
                    ? Understood(MaxImagePixelsName, () => PixelsIn(pixels))
                    : ImageDecoder.DefaultMaximumPixels,
                Threshold = source.Metadata.TryGetValue(ThresholdName, out string? threshold)
                    ? Understood<double>(ThresholdName, () => ThresholdIn(threshold))
                    : null,
                Alphas = AlphaHistory.ReadFrom(source, candidateLengths: null),
                Label = source.Metadata.TryGetValue(LabelName, out string? label) ? Understood(LabelName, () => LabelOf(label)) : null,
            };
            if (prompts.TaskResidual?.GetLength(0) == prompts.ClassNames?.Count)
                prompts = prompts with { ResidualClassNames = prompts.ClassNames };
            return source.Metadata.TryGetValue(TemplateName, out string? template) ? prompts with { Template = template } : prompts;
        }

        private ExportedPrompts Fixed()
        {
            string? stated = source.Metadata.GetValueOrDefault(ConfigurationName);
            PromptConfiguration? configuration = stated is null
                ? null
                : Understood(ConfigurationName, () => PromptConfiguration.Parse(stated));
            Dictionary<int, string> text = Named(TextPrefix),
                image = Named(ImagePrefix);
            if (Named(TextMixturePrefix).Count + Named(ImageMixturePrefix).Count > 0)
                throw new InvalidDataException(
                    $"{source.Location} holds the prompts of a mixture but not the text '{MixtureName}', which says how many rows each "
                        + "candidate has: [0, 2, 4, 6] for three candidates beside the plain block."
                );
            if (configuration is null && text.Count + image.Count == 0)
                throw new InvalidDataException(
                    $"{source.Location} holds no prompts: arrays named {TextPrefix}0, {ImagePrefix}0 and so on, or the text "
                        + $"'{ConfigurationName}', are expected."
                );
            return new ExportedPrompts
            {
                Text = Layers(TextPrefix, text, configuration?.Text),
                Image = Layers(ImagePrefix, image, configuration?.Image),
                LayersAreCounted = configuration is null,
            };
        }

        private ExportedPrompts Mixed(string candidates)
        {
            if (source.Metadata.ContainsKey(ConfigurationName) || Named(TextPrefix).Count + Named(ImagePrefix).Count > 0)
                throw new InvalidDataException(
                    $"{source.Location} holds both the prompts of a mixture and prompts of fixed lengths; a model has only one of the two."
                );
            int[] lengths = Understood(MixtureName, () => LengthsIn(candidates));
            TrainedMixture mixture = Understood(MixtureName, () =>
                new TrainedMixture(lengths, Weights(TextWeightsPrefix), Weights(ImageWeightsPrefix))
            );
            return new ExportedPrompts
            {
                Text = Rows(TextMixturePrefix, mixture.TextWeights.Count),
                Image = Rows(ImageMixturePrefix, mixture.ImageWeights.Count),
                Mixture = mixture,
            };

            float[,]?[] Rows(string prefix, int layers) => Layers(prefix, Named(prefix), [.. Enumerable.Repeat(mixture.Rows, layers)]);
        }

        /// <summary>The weights as [layer][candidate], for consecutive layers from the first.</summary>
        private float[][] Weights(string prefix)
        {
            Dictionary<int, string> named = Named(prefix);
            return
            [
                .. Enumerable
                    .Range(0, named.Count)
                    .Select(layer =>
                        named.TryGetValue(layer, out string? name)
                            ? Vector(name)
                            : throw new InvalidDataException($"{source.Location} has no '{prefix}{layer}', but weights of later layers.")
                    ),
            ];
        }

        private float[] Vector(string name)
        {
            var (values, shape) = ArrayFiles.ReadFloats(source, name);
            return shape.Length == 1
                ? values
                : throw new InvalidDataException(
                    $"{source.Location}: '{name}' has the shape [{string.Join(", ", shape)}]; one weight for each candidate is expected."
                );
        }

        /// <summary>The names of the arrays, by layer.</summary>
        private Dictionary<int, string> Named(string prefix)
        {
            var found = new Dictionary<int, string>();
            foreach (string name in source.Entries.Keys)
            {
                string rest = name.StartsWith(OptionalPrefix, StringComparison.Ordinal) ? name[OptionalPrefix.Length..] : name;
                if (
                    !rest.StartsWith(prefix, StringComparison.Ordinal)
                    || !int.TryParse(rest.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
                )
                    continue;
                if (layer >= MostLayers)
                    throw new InvalidDataException(
                        $"{source.Location}: '{name}' names layer {layer}; more than {MostLayers} layers are not expected."
                    );
                if (!found.TryAdd(layer, name))
                    throw new InvalidDataException($"{source.Location}: '{found[layer]}' and '{name}' are the same layer's prompt.");
            }
            return found;
        }

        private float[,]?[] Layers(string prefix, Dictionary<int, string> named, IReadOnlyList<int>? lengths)
        {
            string said = $"the '{(source.Metadata.ContainsKey(MixtureName) ? MixtureName : ConfigurationName)}'";
            int count = lengths?.Count ?? named.Keys.DefaultIfEmpty(0).Max() + 1;
            foreach (var (layer, name) in named)
                if (layer >= count)
                    throw new InvalidDataException($"{source.Location}: '{name}' is the prompt of a layer that {said} does not have.");
            var layers = new float[,]?[count];
            for (int layer = 0; layer < count; layer++)
            {
                float[,]? rows = named.TryGetValue(layer, out string? name) ? Matrix(name) : null;
                int length = rows?.GetLength(0) ?? 0;
                if (length > PromptConfiguration.MaximumLength)
                    throw new InvalidDataException(
                        $"{source.Location}: '{name}' has {length} rows; a layer can have at most {PromptConfiguration.MaximumLength}."
                    );
                if (lengths is not null && lengths[layer] != length)
                    throw new InvalidDataException(
                        $"{source.Location}: {said} asks for {lengths[layer]} rows of {prefix}{layer}, but there " + $"are {length}."
                    );
                layers[layer] = length == 0 ? null : rows;
            }
            return layers;
        }

        private float[,] Matrix(string name)
        {
            var (values, shape) = ArrayFiles.ReadFloats(source, name);
            if (shape is not [var rows, var columns])
                throw new InvalidDataException(
                    $"{source.Location}: '{name}' has the shape [{string.Join(", ", shape)}]; rows and columns are expected."
                );
            var matrix = new float[rows, columns];
            Buffer.BlockCopy(values, 0, matrix, 0, values.Length * sizeof(float));
            return matrix;
        }

        private T Understood<T>(string name, Func<T> read)
        {
            try
            {
                return read();
            }
            catch (Exception e) when (e is JsonException or FormatException or ArgumentException)
            {
                throw new InvalidDataException($"{source.Location}: the text '{name}' cannot be read: {e.Message}", e);
            }
        }

        private static string[]? NamesIn(string json)
        {
            string?[]? names = JsonSerializer.Deserialize<string?[]>(json);
            if (names is not null && names.Any(string.IsNullOrWhiteSpace))
                throw new FormatException("a class has no name.");
            return names?.OfType<string>().ToArray();
        }

        private static int[] LengthsIn(string json) =>
            JsonSerializer.Deserialize<int[]>(json) ?? throw new FormatException("it names no candidates.");

        private static double ScaleIn(string text)
        {
            double scale = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
            return scale > 0 && double.IsFinite(scale) ? scale : throw new FormatException($"'{text}' is not above 0 and finite.");
        }

        private static long PixelsIn(string text) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long pixels)
            && pixels >= 1
            && pixels <= ImageDecoder.LargestMaximumPixels
                ? pixels
                : throw new FormatException($"'{text}' is not a whole number from 1 to {ImageDecoder.LargestMaximumPixels}.");

        private static double ThresholdIn(string text)
        {
            double threshold = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
            return threshold is > 0 and <= 1 ? threshold : throw new FormatException($"'{text}' is not above 0 and at most 1.");
        }

        private static (LabelKind Kind, PrimitiveDataViewType ValueType)? LabelOf(string label) =>
            label == TextLabel ? (LabelKind.Text, TextDataViewType.Instance)
            : label.Split(' ') is [KeyLabel, var type] ? (LabelKind.Key, KeyValueAnnotation.TypeNamed(type))
            : throw new FormatException($"'{label}' is not a kind of label; '{TextLabel}' or '{KeyLabel} String' is expected.");
    }
}
